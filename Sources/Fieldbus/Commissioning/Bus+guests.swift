import Metering

extension Bus {
    /// One read request between the polls, for somebody who commissions: never a write, since a reader has none.
    ///
    /// - Throws: `GuestError` when it cannot be asked; what the device says or does not say is in the visit's only answer.
    package func ask(_ block: Block, unit: UInt8) async throws(GuestError) -> Visit {
        guard ReadRequest(unit: unit, block: block).isLegal else {
            throw GuestError(
                code: .illegalBlock,
                sentence: "\(block.count) from \(block.address) cannot be asked for; one request takes 1 to \(block.table.requestLimit) of "
                    + "table \(block.table.name), up to address 65535")
        }
        guard description.address.units.contains(unit) else {
            let units = description.address.units
            throw GuestError(
                code: .illegalUnit,
                sentence: "unit \(unit) cannot be asked on \(description.name); units there are \(units.lowerBound) to \(units.upperBound)")
        }
        return try await guests.ask(block, unit: unit, at: time.uptime())
    }
}

extension BusAddress {
    /// Unit ids that can answer: 0 is the broadcast on a line, and an address as any other on a network.
    package var units: ClosedRange<UInt8> {
        switch self {
        case .serial, .rtuOverTCP: 1...247
        case .tcp: 0...255
        }
    }
}
