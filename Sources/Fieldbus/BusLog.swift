import Logging
import Metering

/// What a bus says: a fault when it starts and when it ends, constant words, facts as keys.
struct BusLog: Sendable {
    private let logger: Logger

    init(bus: String, _ logger: Logger) {
        var logger = logger
        logger[metadataKey: "bus.name"] = "\(bus)"
        self.logger = logger
    }

    func bus(_ turn: BusAccount.Turn, fault: String) {
        switch turn {
        case .down: logger.warning("bus down", metadata: ["modbus.fault": "\(fault)"])
        case .up: logger.info("bus up again")
        }
    }

    func online(device: String) { logger.info("device online", metadata: ["device.name": "\(device)"]) }

    func offline(device: String, fault: String) {
        logger.warning("device offline", metadata: ["device.name": "\(device)", "modbus.fault": "\(fault)"])
    }

    func split(device: String) {
        logger.info("device refuses a merged request; it is split from now on", metadata: ["device.name": "\(device)"])
    }

    func refused(_ block: Block, device: String) {
        logger.warning(
            "device refuses registers of its profile; they are left out and asked for again every ten minutes",
            metadata: [
                "device.name": "\(device)", "modbus.table": "\(block.table.name)", "modbus.address": "\(block.address)",
                "modbus.count": "\(block.count)",
            ])
    }

    func found(_ map: FoundMap, device: String, isNew: Bool) {
        let chain = map.chain
        let identity = chain.models.first.flatMap { chain.identities[$0.address] }
        logger.notice(
            isNew ? "device has this SunSpec map" : "device has another SunSpec map than before",
            metadata: [
                "device.name": "\(device)", "sunspec.base": "\(chain.base)",
                "sunspec.models": "\(chain.models.map { String($0.id) }.joined(separator: " "))",
                "sunspec.skipped": "\(chain.unknown.map { String($0.id) }.joined(separator: " "))",
                "sunspec.manufacturer": "\(identity?.manufacturer ?? "")", "sunspec.model": "\(identity?.model ?? "")",
                "points": "\(map.profile.points.count)",
            ])
    }

    func unmapped(device: String, reason: String) {
        logger.warning("device answers, but has no map", metadata: ["device.name": "\(device)", "reason": "\(reason)"])
    }

    func unreadable(_ quantity: String, device: String) {
        logger.warning(
            "the profile's own limits forbid to read a point", metadata: ["device.name": "\(device)", "point.quantity": "\(quantity)"])
    }
}
