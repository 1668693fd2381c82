import Fieldbus
import FoundationEssentials
import Metering

extension Configuration {
    /// Reads the config file, then `conf.d/*.toml` beside it in name order, and every profile they name.
    ///
    /// A key of `[gateway]`, `[journal]` or `[api]` in a later file replaces that of an earlier one; buses, devices and outputs add up.
    /// A file that an output cannot read is a fault of that output while it runs, and no reason not to run (docs/decisions/0048).
    /// - Throws: every problem of all files at once.
    package static func load(file: String, hostName: String = Configuration.hostName()) throws(Problems) -> Configuration {
        let (configuration, problems) = examine(file: file, hostName: hostName)
        if problems.contains(where: \.isFatal) { throw Problems(problems) }
        return configuration
    }

    /// The same, but what can be read is there beside the problems.
    package static func examine(
        file: String, hostName: String = Configuration.hostName()
    ) -> (configuration: Configuration, problems: [Problem]) {
        let log = TomlReader.ProblemLog()
        var reader = ConfigurationReader(hostName: hostName, log: log)
        let files = Configuration.files(main: file, log: log)
        if !log.sorted.isEmpty { reader.isWhole = false }
        for path in files { reader.read(path, isMain: path == file) }
        var configuration = reader.finish()
        configuration.listing = ConfigurationListing(log.tables, of: configuration, files: files)
        return (configuration, Configuration.told(log.sorted, files: files))
    }

    /// The problems in the order in which the files are read, so that the main file's come first. They go into logs and onto screens, and some
    /// quote what stands in the file.
    private static func told(_ problems: [Problem], files: [String]) -> [Problem] {
        let places = Dictionary(files.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        let ordered = problems.enumerated().sorted { a, b in
            let (first, second) = (places[a.element.file] ?? files.count, places[b.element.file] ?? files.count)
            return (first, a.offset) < (second, b.offset)
        }
        return ordered.map { _, problem in
            var problem = problem
            problem.key = problem.key.shortened(to: ConfigurationLimits.problemCharacters)
            problem.text = Redaction.urls(problem.text).shortened(to: ConfigurationLimits.problemCharacters)
            return problem
        }
    }

    /// The files that make up a configuration, in the order in which they are read.
    static func files(main: String, log: TomlReader.ProblemLog) -> [String] {
        let directory = URL(filePath: main).deletingLastPathComponent().appending(path: "conf.d").path
        var names: [String] = []
        if FileManager.default.fileExists(atPath: directory) {
            do {
                names = try FileManager.default.contentsOfDirectory(atPath: directory)
            } catch {
                let text = "cannot be read; give the user that runs meterd the right to, or remove it"
                log.add(Problem(file: directory, place: nil, key: "", text: text))
            }
        }
        let parts = names.filter { $0.hasSuffix(".toml") && !$0.hasPrefix(".") }.sorted().map { directory + "/" + $0 }
        if parts.count > ConfigurationLimits.files {
            log.add(
                Problem(
                    file: directory, place: nil, key: "",
                    text: "holds \(parts.count) files; at most \(ConfigurationLimits.files) are read, join some of them"))
        }
        return [main] + parts.prefix(ConfigurationLimits.files)
    }

    /// The kernel's host name up to the first dot, the default of `gateway.id`.
    package static func hostName() -> String {
        String(ProcessInfo.processInfo.hostName.prefix { $0 != "." })
    }
}

/// Reads the files one by one, then checks what only the whole can tell.
private struct ConfigurationReader {
    private let log: TomlReader.ProblemLog
    private var configuration: Configuration
    private var buses: [(bus: BusDescription, at: TomlReader)] = []
    private var devices: [(device: DraftDevice, at: TomlReader)] = []
    private var outputs: [(output: Configuration.Output, at: TomlReader)] = []
    private var busNames: Set<String> = []
    /// `[defaults.device]` of the main file.
    private var common: TomlReader?
    /// The main file was read and understood: what a device lacks does not stand there.
    private var knowsCommon = false
    private var listener = ListenerReader()
    /// Every file was read and understood. Where one was not, nobody knows what else there is: what seems to be missing is not complained of.
    var isWhole = true

    init(hostName: String, log: TomlReader.ProblemLog) {
        self.log = log
        configuration = Configuration(gateway: Configuration.Gateway(id: hostName))
    }

    mutating func read(_ path: String, isMain: Bool) {
        guard let text = TextFile.read(path, limit: ConfigurationLimits.fileBytes, log: log) else { return isWhole = false }
        if text.isEmpty {
            let cure = "put its text back, or write a comment into it (#) if it is meant to say nothing"
            log.add(Problem(file: path, place: nil, key: "", text: "is empty, as a full disk or a power cut leaves a file; \(cure)"))
            return isWhole = false
        }
        let root: TomlReader
        do {
            root = TomlReader(file: path, node: try TomlNode.parse(text, file: path), log: log)
        } catch {
            log.add(error)
            return isWhole = false
        }
        if let table = root.table("gateway") { readGateway(table) }
        if let table = root.table("journal") { readJournal(table) }
        if let table = root.table("api") { listener.read(table, into: &configuration.api) }
        for table in root.tables("bus") {
            if let name = table.string("name") { busNames.insert(name) }
            if let bus = BusReader(table).read() { buses.append((bus, table)) }
            table.finish()
        }
        let templates = templates(root, isMain: isMain)
        for table in root.tables("device").map({ templates.reduce($0) { $0.inheriting($1) } }) {
            for one in table.has("units") ? table.members(of: "units", named: "name", short: "unit") : [table] {
                devices.append((DraftDevice(one, isWhole: knowsCommon), one))
                one.finish()
            }
        }
        for table in root.tables("output") {
            if let output = OutputReader(table).read() { outputs.append((output, table)) }
            table.finish()
        }
        root.finish()
    }

    /// What the devices of a file take over: its own `[defaults.device]`, then that of the main file.
    private mutating func templates(_ root: TomlReader, isMain: Bool) -> [TomlReader] {
        let defaults = root.table("defaults")
        let own = defaults?.table("device")
        defaults?.finish()
        if let own {
            // It is checked, though no device may take it over.
            _ = DraftDevice(own, isWhole: false)
            own.finish()
            if !isMain, !root.has("device") {
                own.problem(
                    "", "holds for the devices of this file, and it has none; move it to the main file, where it holds for all",
                    isFatal: false)
            }
        }
        if isMain { (common, knowsCommon) = (own, true) }
        return [own, isMain ? nil : common].compactMap { $0 }
    }

    private mutating func readGateway(_ table: TomlReader) {
        if let id = table.name("id", required: false) { configuration.gateway.id = id }
        if let site = table.string("site") { configuration.gateway.site = site }
        if let zone = table.string("timezone") {
            configuration.gateway.timezone = zone
            if zone.isEmpty || zone.hasPrefix("/") || zone.contains("..") || !TextFile.isRegular("/usr/share/zoneinfo/" + zone) {
                table.problem(
                    "timezone", "\"\(zone)\" is no time zone; write one of `timedatectl list-timezones`, such as \"Asia/Ho_Chi_Minh\"")
            }
        }
        if let directory = table.path("data_directory") { configuration.gateway.dataDirectory = directory }
        if let path = table.strings("profile_path") { configuration.gateway.profilePath = path.map { table.absolute($0) ?? $0 } }
        table.finish()
    }

    private mutating func readJournal(_ table: TomlReader) {
        if let value = table.duration("commit_interval", in: .seconds(1) ... .seconds(60)) { configuration.journal.commitInterval = value }
        if let value = table.duration("retention", in: .seconds(3600) ... .seconds(3650 * 86_400), example: "\"60d\"") {
            configuration.journal.retention = value
        }
        if let value = table.size("size_limit", in: (4 << 20)...(1 << 40)) { configuration.journal.sizeLimit = value }
        if let value = table.duration("undated_hold", in: .seconds(60) ... .seconds(3650 * 86_400), example: "\"24h\"") {
            configuration.journal.undatedHold = value
        }
        if let value = table.boolean("send_undated") { configuration.journal.sendsUndated = value }
        table.finish()
    }

    mutating func finish() -> Configuration {
        unique(buses.map { ($0.bus.name, $0.at) }, "bus")
        unique(devices.compactMap { draft in draft.device.name.map { ($0, draft.at) } }, "device")
        unique(outputs.map { ($0.output.name, $0.at) }, "output")
        checkEndpoints()
        checkAddresses()
        OutputReader.checkBrokers(outputs, gateway: configuration.gateway.id)
        listener.check(configuration.api)
        if buses.count > ConfigurationLimits.buses {
            buses[ConfigurationLimits.buses].at.problem(
                "", "is bus \(ConfigurationLimits.buses + 1); at most \(ConfigurationLimits.buses) are possible")
        }
        if outputs.count > ConfigurationLimits.outputs {
            outputs[ConfigurationLimits.outputs].at.problem(
                "", "is output \(ConfigurationLimits.outputs + 1); at most \(ConfigurationLimits.outputs) are possible")
        }
        var library = ProfileLibrary(path: configuration.gateway.profilePath)
        configuration.buses = buses.map(\.bus)
        configuration.outputs = outputs.map(\.output)
        configuration.devices = devices.compactMap { $0.device.resolve(&library, isWhole: isWhole, log: log, at: $0.at) }
        if isWhole { checkFilters() }
        return configuration
    }

    private func checkFilters() {
        OutputReader.check(outputs, names: devices.compactMap(\.device.name), devices: configuration.devices)
    }

    private func unique(_ named: [(String, TomlReader)], _ what: String) {
        var first: [String: TomlReader] = [:]
        for (name, table) in named {
            if let earlier = first[name] {
                table.problem(
                    "name",
                    "\"\(name)\" is taken by the \(what) at \(earlier.file(of: "name")):\(earlier.place(of: "name").line); give it another name"
                )
            } else {
                first[name] = table
            }
        }
    }

    /// One endpoint is one connection: two buses on it would fight for it.
    private func checkEndpoints() {
        var first: [BusAddress.Endpoint: String] = [:]
        for (bus, table) in buses {
            if let earlier = first[bus.address.endpoint] {
                table.problem("url", "leads to the same place as bus \"\(earlier)\"; put the devices on that bus, it shares the connection")
            } else {
                first[bus.address.endpoint] = bus.name
            }
        }
    }

    private func checkAddresses() {
        var first: [String: [UInt8: String]] = [:]
        var counts: [String: Int] = [:]
        let serial = Set(buses.filter { $0.bus.address.isLine }.map(\.bus.name))
        for (device, table) in devices {
            guard let bus = device.bus else { continue }
            guard busNames.contains(bus) else {
                if isWhole { table.problem("bus", "no bus is named \"\(bus)\"" + Spelling.hint(bus, among: busNames)) }
                continue
            }
            counts[bus, default: 0] += 1
            if counts[bus] == ConfigurationLimits.devicesPerBus + 1 {
                table.problem("bus", "more than \(ConfigurationLimits.devicesPerBus) devices on \"\(bus)\"")
            }
            guard let unit = device.unit else { continue }
            if let earlier = first[bus]?[unit] {
                table.problem("unit", "\(unit) on bus \"\(bus)\" is device \"\(earlier)\"; each needs an address of its own")
            }
            if serial.contains(bus), !(1...247).contains(unit) {
                table.problem("unit", "\(unit) is outside 1 ... 247, the addresses of a serial line")
            }
            first[bus, default: [:]][unit] = device.name ?? "at line \(table.place.line)"
        }
    }
}

/// A device as written, before its profile is known. What is missing or wrong is nil, and its problem is noted.
private struct DraftDevice {
    let name: String?
    let bus: String?
    let unit: UInt8?
    let role: Role?
    let profile: String?
    let invert: Bool
    let wordOrder: WordOrder?
    let sunSpecBase: Int?
    var periods: [PointClass: Duration] = [.once: .zero]

    /// - Parameter isWhole: whatever a device needs stands here.
    init(_ table: TomlReader, isWhole: Bool) {
        name = table.name("name", required: isWhole)
        bus = table.string("bus", required: isWhole, example: "\"line-1\"")
        unit = table.integer("unit", in: 0...255, required: isWhole).map { UInt8($0) }
        profile = table.string("profile", required: isWhole, example: "\"eastron-sdm630\"")
        role = table.choice("role", of: Role.self, required: isWhole)
        invert = table.boolean("invert") ?? false
        wordOrder = table.choice("word_order", of: WordOrder.self)
        sunSpecBase = table.integer("sunspec_base", in: 0...SunSpecWalk.lastBase)
        if isWhole, sunSpecBase != nil, profile != SunSpecProfile.name {
            table.problem("sunspec_base", "belongs to profile = \"\(SunSpecProfile.name)\"; remove it")
        }
        let bounds: ClosedRange<Duration> = .milliseconds(100) ... .seconds(86_400)
        periods[.live] = DraftDevice.period(table, "live", standard: .seconds(1), bounds)
        periods[.slow] = DraftDevice.period(table, "slow", standard: .seconds(60), bounds)
    }

    /// The period of a class; nil when it is "off".
    private static func period(_ table: TomlReader, _ key: String, standard: Duration, _ bounds: ClosedRange<Duration>) -> Duration? {
        if table.text(key) == "off" { return nil }
        return table.duration(key, in: bounds, example: "\"\(Measures.text(standard))\" or \"off\"") ?? standard
    }

    /// The whole device; nil when something of it is missing or wrong.
    ///
    /// - Parameter isWhole: whether `[gateway] profile_path` is known.
    func resolve(
        _ library: inout ProfileLibrary, isWhole: Bool, log: TomlReader.ProblemLog, at table: TomlReader
    ) -> Configuration.Device? {
        guard let profile else { return nil }
        if profile == SunSpecProfile.name {
            guard let name, let bus, let unit, let role else { return nil }
            let bases = sunSpecBase.map { [UInt16($0)] } ?? SunSpecWalk.bases
            return Configuration.Device(
                name: name, bus: bus, unit: unit, role: role, profile: .unfound(profile), profileText: "", invert: invert,
                periods: periods, search: MapSearch(bases: bases))
        }
        switch library.profile(profile, log: log) {
        case .found(var found, var text):
            if let wordOrder {
                text = Profile.text(text, ordered: wordOrder)
                do throws(Problems) { found = try Profile(toml: text, file: "\(profile).toml") } catch {
                    table.problem("word_order", "does not go with profile \"\(profile)\", which says it itself; remove one of them")
                    return nil
                }
            }
            guard let name, let bus, let unit, let role else { return nil }
            return Configuration.Device(
                name: name, bus: bus, unit: unit, role: role, profile: found, profileText: text, invert: invert, periods: periods)
        case .missing where !isWhole: return nil
        case .missing(let names):
            table.problem(
                "profile", "no profile \"\(profile)\" in \(library.path.joined(separator: ", "))" + Spelling.hint(profile, among: names))
            return nil
        case .faulty:
            return nil  // its own problems are noted
        }
    }
}
