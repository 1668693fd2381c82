import Fieldbus
import Glibc

/// Which devices a unit lets its service have: `DevicePolicy=` and `DeviceAllow=`, by which systemd refuses what the file's mode would allow.
///
/// - Source: systemd.resource-control(5).
struct DeviceRules: Sendable {
    private let isRestricted: Bool
    /// `char-ttyS`, `char-usb_*`, `/dev/ttyUSB0`.
    private let allowed: [String]

    init(_ unit: ServiceUnit) {
        let policy = unit.value("DevicePolicy") ?? "auto"
        let listed = unit.values("DeviceAllow").filter { $0.hasPrefix("char-") || $0.hasPrefix("/") }
        isRestricted = policy == "closed" || policy == "strict" || !listed.isEmpty
        // Pseudo terminals go with every policy but that.
        allowed = listed + (policy == "strict" ? [] : ["char-pts"])
    }

    /// The driver of the port, by the name that a rule would have, where the unit does not allow it; nil where it does, and for a driver that
    /// the kernel does not tell of.
    ///
    /// - Parameter drivers: /proc/tty/drivers.
    func refusedDriver(of device: UInt, in drivers: String) -> String? {
        guard isRestricted, let driver = DeviceRules.driver(of: device, in: drivers) else { return nil }
        let isAllowed = allowed.contains { rule in
            if rule.hasPrefix("char-") { return fnmatch(String(rule.dropFirst("char-".count)), driver, 0) == 0 }
            var facts = stat()
            return stat(rule, &facts) == 0 && UInt(facts.st_rdev) == device
        }
        return isAllowed ? nil : driver
    }

    /// `serial  /dev/ttyS  4 64-95 serial`: name, device files, major number, minor numbers, kind. systemd knows the driver as `ttyS`.
    ///
    /// - Source: proc(5), /proc/tty/drivers.
    static func driver(of device: UInt, in drivers: String) -> String? {
        let (major, minor) = ExclusivePort.numbers(of: device)
        for line in drivers.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 5, UInt(fields[fields.count - 3]) == major else { continue }
            let minors = fields[fields.count - 2].split(separator: "-").compactMap { UInt($0) }
            guard let first = minors.first, let last = minors.last, first <= minor, minor <= last else { continue }
            let files = fields[fields.count - 4]
            return String(files.hasPrefix("/dev/") ? files.dropFirst("/dev/".count) : files)
        }
        return nil
    }
}
