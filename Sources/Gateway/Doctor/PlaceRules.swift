import Glibc

/// Which directories a unit lets its service write: `ProtectSystem=strict` makes all others read-only, whatever their mode and disk allow.
///
/// - Source: systemd.exec(5).
struct PlaceRules: Sendable {
    /// Where systemd makes the directories that a unit has by their names.
    private static let parents = [
        "StateDirectory": "/var/lib", "RuntimeDirectory": "/run", "CacheDirectory": "/var/cache", "LogsDirectory": "/var/log",
    ]

    private let isRestricted: Bool
    private let allowed: [String]

    init(_ unit: ServiceUnit) {
        isRestricted = unit.value("ProtectSystem") == "strict"
        let own = PlaceRules.parents.flatMap { key, parent in unit.values(key).map { "\(parent)/\($0.prefix { $0 != ":" })" } }
        // SOURCE:DESTINATION:OPTIONS, the last two where wanted.
        let bound = unit.values("BindPaths").compactMap { $0.split(separator: ":").prefix(2).last.map(String.init) }
        allowed = own + (unit.values("ReadWritePaths") + bound).map { String($0.drop { "-+".contains($0) }) }
    }

    func refuses(_ path: String) -> Bool {
        guard isRestricted else { return false }
        let place = PlaceRules.resolved(path)
        return !allowed.map(PlaceRules.resolved).contains { $0 == "/" || place == $0 || place.hasPrefix($0 + "/") }
    }

    /// systemd follows symbolic links too.
    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }
}
