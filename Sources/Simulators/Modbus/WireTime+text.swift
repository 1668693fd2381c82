extension WireTime {
    /// Reads `9600`, `19200,format=8E1,turnaround=5ms`: what `metersim --wire` takes. 8N1 and 20 ms where nothing is said.
    package init(_ text: String) throws(SimulatorError) {
        let option = "--wire \(text)"
        var pairs = try OptionText(text, option: option, first: "baud")
        guard let baud = try pairs.takeInteger("baud", in: 300...4_000_000) else {
            throw SimulatorError(.usage, "\(option): no baud rate; write --wire 9600 or --wire 19200,format=8E1,turnaround=5ms")
        }
        let format = pairs.take("format") ?? "8N1"
        guard let bits = WireTime.bits(format) else {
            throw SimulatorError(
                .usage, "\(option): format=\(format) is not known; write data bits, parity and stop bits, such as 8N1 or 8E1")
        }
        let turnaround = try pairs.takeDuration("turnaround") ?? .milliseconds(20)
        try pairs.end()
        self.init(baud: Int(baud), bitsPerCharacter: bits, turnaround: turnaround)
    }

    /// Start, data, parity and stop bits of `8N1`, `7E1`, `8O2`; nil for anything else.
    private static func bits(_ format: String) -> Int? {
        let parts = Array(format.uppercased())
        guard parts.count == 3, let data = parts[0].wholeNumberValue, let stop = parts[2].wholeNumberValue, (7...8).contains(data),
            (1...2).contains(stop), ["N", "E", "O"].contains(parts[1])
        else { return nil }
        return 1 + data + (parts[1] == "N" ? 0 : 1) + stop
    }
}
