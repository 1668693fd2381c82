import Fieldbus
import Metering

/// One `[[bus]]`.
struct BusReader {
    private let table: TomlReader

    init(_ table: TomlReader) { self.table = table }

    private enum Boundary: String, CaseIterable {
        case quarterHour = "15m"
        case off
    }

    private enum Direction: String, CaseIterable {
        case off
        case driver
        case rts
        case rtsInverted = "rts-inverted"
    }

    private static let rates = [1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600]

    func read() -> BusDescription? {
        let name = table.name("name")
        let url = table.string("url", required: true, example: "\"tcp://192.0.2.10:502\"")
        let baud = table.integer("baud", in: 1200...921_600)
        let format = table.string("format", example: "\"8N1\"")
        let timeout = table.duration("timeout", in: .milliseconds(50) ... .seconds(60), example: "\"1s\"") ?? .seconds(1)
        let boundary = table.choice("boundary", of: Boundary.self) ?? .quarterHour
        let direction = readDirection()
        var line = SerialFormat(direction: direction)
        if let baud {
            line.baud = baud
            if !BusReader.rates.contains(baud) {
                table.problem(
                    "baud", "\(baud) is no standard rate; write one of \(BusReader.rates.map(String.init).joined(separator: ", "))")
            }
        }
        if let format {
            if let parsed = SerialFormat(characters: format) {
                line.dataBits = parsed.dataBits
                line.parity = parsed.parity
                line.stopBits = parsed.stopBits
            } else {
                table.problem(
                    "format", "\"\(format)\" is no line format; write data bits, parity and stop bits, such as \"8N1\" or \"8E1\"")
            }
        }
        guard let url else { return nil }
        guard let address = BusAddress(url: url, line: line) else {
            table.problem(
                "url",
                Redaction.quotation(url) + "is no bus address; write \"serial:///dev/...\", \"tcp://host:port\" or \"rtu+tcp://host:port\"")
            return nil
        }
        if case .serial = address {
        } else {
            for key in ["baud", "format", "rs485", "rts_delay"] where table.has(key) {
                table.problem(key, "belongs to serial lines; remove it, \(url) is a network address")
            }
        }
        return name.map {
            BusDescription(name: $0, address: address, timeout: timeout, closesQuarterHours: boundary == .quarterHour)
        }
    }
}

extension BusReader {
    private func readDirection() -> LineDirection {
        let choice = table.choice("rs485", of: Direction.self) ?? .off
        let delay = table.duration("rts_delay", in: .zero ... .milliseconds(100), example: "\"200us\"")
        if table.has("rts_delay"), choice != .rts, choice != .rtsInverted {
            table.problem("rts_delay", "belongs to rs485 = \"rts\" or \"rts-inverted\"; remove it, or say which")
        }
        switch choice {
        case .off: return .automatic
        case .driver: return .driver
        case .rts: return .rts(isHigh: true, delay: delay)
        case .rtsInverted: return .rts(isHigh: false, delay: delay)
        }
    }
}

extension SerialFormat {
    /// Reads `8N1`, `7E1`, `8o2`; the baud rate stays 9600.
    init?(characters text: String) {
        let parts = Array(text.uppercased())
        guard parts.count == 3, let data = parts[0].wholeNumberValue, let parity = Parity(rawValue: parts[1]),
            let stop = parts[2].wholeNumberValue, (7...8).contains(data), (1...2).contains(stop)
        else { return nil }
        self.init(dataBits: data, parity: parity, stopBits: stop)
    }
}

extension BusAddress {
    /// Two buses with equal endpoints would fight for one port or connection.
    enum Endpoint: Hashable {
        case file(String)
        case network(String, UInt16)
    }

    var endpoint: Endpoint {
        switch self {
        case .serial(let path, _): .file(path)
        case .tcp(let host, let port), .rtuOverTCP(let host, let port): .network(host.lowercased(), port)
        }
    }

    /// True where unit ids are those of a serial line.
    var isLine: Bool {
        switch self {
        case .serial, .rtuOverTCP: true
        case .tcp: false
        }
    }

    /// Reads `serial:///dev/ttyUSB0`, `tcp://192.0.2.10:502`, `tcp://[2001:db8::1]:502`, `rtu+tcp://host:port`; port 502 when none is named.
    init?(url text: String, line: SerialFormat) {
        func rest(of scheme: String) -> String? { text.hasPrefix(scheme + "://") ? String(text.dropFirst(scheme.count + 3)) : nil }
        if let path = rest(of: "serial") {
            guard path.hasPrefix("/"), path.utf8.count > 1, !path.utf8.contains(0) else { return nil }
            self = .serial(path: path, line: line)
        } else if let target = rest(of: "tcp"), let (host, port) = BusAddress.hostAndPort(target) {
            self = .tcp(host: host, port: port)
        } else if let target = rest(of: "rtu+tcp"), let (host, port) = BusAddress.hostAndPort(target) {
            self = .rtuOverTCP(host: host, port: port)
        } else {
            return nil
        }
    }

    private static func hostAndPort(_ text: String) -> (String, UInt16)? {
        var host = text.hasSuffix("/") ? String(text.dropLast()) : text
        var port: UInt16 = 502
        let end = host.lastIndex(of: "]") ?? host.startIndex
        if let colon = host.lastIndex(of: ":"), colon >= end {
            guard let value = UInt16(host[host.index(after: colon)...]), value > 0 else { return nil }
            port = value
            host = String(host[..<colon])
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        let allowed = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "%"):
                true
            default: false
            }
        }
        return host.isEmpty || host.utf8.count > 253 || !allowed ? nil : (host, port)
    }
}

extension TomlReader {
    /// A path, or nil with the problem noted. A relative one begins at the config file's folder: a daemon's working directory is nobody's
    /// home.
    func path(_ key: String) -> String? {
        guard let text = string(key, example: "\"/...\"") else { return nil }
        if let path = absolute(text) { return path }
        problem(key, "is no path; name a file or folder, such as \"/var/lib/meterd\"")
        return nil
    }

    func absolute(_ text: String) -> String? { TomlReader.absolute(text, from: file) }

    /// `text` from the config file's folder on; nil when it is no path.
    static func absolute(_ text: String, from file: String) -> String? {
        guard !text.isEmpty, !text.utf8.contains(where: { $0 < 0x20 }) else { return nil }
        if text.hasPrefix("/") { return text }
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        return file.contains("/") ? "\(folder)/\(text)" : text
    }

    /// What a sentence calls the file at `path`, which `key` names: without what may be the secret itself.
    func shownPath(_ key: String, _ path: String) -> String {
        guard Redaction.isSecretFile(key), let text = text(key), !Redaction.isPath(text, in: file) else { return path }
        return absolute(Redaction.mark) ?? Redaction.mark
    }

    /// A name as the contract wants it, `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, or nil with the problem noted.
    func name(_ key: String, required: Bool = true) -> String? {
        guard let text = string(key, required: required, example: "\"line-1\"") else { return nil }
        let bytes = Array(text.utf8)
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        }
        guard let first = bytes.first, isAlphanumeric(first), bytes.count <= 64,
            bytes.allSatisfy({ isAlphanumeric($0) || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains($0) })
        else {
            problem(key, "\"\(text)\" is no name; use up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit")
            return nil
        }
        return text
    }
}
