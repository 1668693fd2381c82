/// What holds where a config says nothing, as `meterctl config show` tells it. The readers apply the same values; a test holds the two, and
/// docs/configuration.md, against each other.
package enum ConfigurationDefaults {
    private struct Row: Sendable {
        var key: String
        var value: ConfigurationValue?
        var note: String?

        init(_ key: String, _ value: ConfigurationValue? = nil, note: String? = nil) {
            self.key = key
            self.value = value
            self.note = note
        }
    }

    private static let tables: [String: [Row]] = [
        "gateway": [
            Row("id", note: "the host name"), Row("site"), Row("timezone", note: "the system's"),
            Row("data_directory", .text("/var/lib/meterd")),
            Row("profile_path", .list([.text("/etc/meterd/profiles"), .text("/usr/share/meterd/profiles")])),
        ],
        "journal": [
            Row("commit_interval", .text("5s")), Row("retention", .text("60d")), Row("size_limit", .text("2GiB")),
            Row("undated_hold", .text("24h")), Row("send_undated", .boolean(false)),
        ],
        "api": [Row("socket", .text("/run/meterd/meterd.sock")), Row("listen"), Row("token_file")],
        "bus": [Row("timeout", .text("1s")), Row("boundary", .text("15m"))],
        "bus serial": [
            Row("baud", .integer(9600)), Row("format", .text("8N1")), Row("rs485", .text("off")), Row("rts_delay", note: "one character"),
        ],
        "device": [
            Row("live", .text("1s")), Row("slow", .text("60s")), Row("invert", .boolean(false)),
            Row("word_order", note: "as the profile says"), Row("sunspec_base", note: "40000, then 0, then 50000"),
        ],
        "output": [
            Row("batch_records", .integer(500)), Row("batch_bytes", .text("256KiB")), Row("batch_age", .text("5s")),
            Row("timeout", .text("30s")), Row("compression", .text("gzip")), Row("ca_file", note: "the system's authorities"),
            Row("lane", .text("live_first")), Row("pace", note: "as fast as the receiver answers"),
            Row("pace_bytes", note: "as fast as the receiver answers"), Row("devices", note: "all"), Row("quantities", note: "all"),
            Row("classes", note: "all"),
        ],
        "output influx": [Row("token_scheme", .text("Token")), Row("measurement", .text("meterd")), Row("texts", .boolean(false))],
        "output mqtt": [
            Row("version", .text("5")), Row("topic", .text("meterd/{gateway}/{device}")),
            Row("availability_topic", .text("meterd/{gateway}/availability")), Row("keep_alive", .text("30s")),
            Row("client_id", note: "meterd-<gateway>-<output>"),
        ],
        "output thingsboard": [Row("version", .text("3.1.1"))],
        "output aws": [Row("topic", .text("meterd/{gateway}/readings")), Row("availability_topic")],
        "output azure": [Row("version", .text("3.1.1"))],
        "output homeassistant": [Row("lane", .text("in_order")), Row("discovery_prefix", .text("homeassistant"))],
        "output file": [Row("lane", .text("in_order")), Row("rotate_size", .text("16MiB")), Row("keep_files", note: "all")],
    ]

    /// The keys of a table that is there once, in the order in which they are documented.
    static func keys(of table: String) -> [String] { tables[table]?.map(\.key) ?? [] }

    /// - Parameter variants: the type of an output and its preset, the scheme of a bus; the last that has a default of its own wins.
    package static func value(_ table: String, _ key: String, _ variants: [String] = []) -> ConfigurationValue? {
        row(table, key, variants)?.value
    }

    static func note(_ table: String, _ key: String, _ variants: [String] = []) -> String? { row(table, key, variants)?.note }

    private static func row(_ table: String, _ key: String, _ variants: [String]) -> Row? {
        let names = variants.reversed().map { "\(table) \($0)" } + [table]
        return names.lazy.compactMap { name in tables[name]?.first { $0.key == key } }.first
    }
}
