import Metering
import Uplink

/// What of it all an output hands on: `devices`, `quantities`, `classes`.
extension OutputReader {
    private static let patternLimit = 1000

    /// Nil when the output wants everything.
    func filter() -> OutputFilter? {
        let filter = OutputFilter(
            devices: patterns("devices", example: "main"), quantities: patterns("quantities", example: "energy_*"), classes: classes())
        return filter == OutputFilter() ? nil : filter
    }

    private func patterns(_ key: String, example: String) -> NamePatterns {
        guard let texts = table.strings(key) else { return NamePatterns([]) }
        if texts.isEmpty { table.problem(key, "is empty, so nothing would be handed on; remove it, or write \(key) = [\"\(example)\"]") }
        if texts.count > OutputReader.patternLimit {
            table.problem(key, "holds \(texts.count) names; at most \(OutputReader.patternLimit) are possible, use * to name many at once")
        }
        for text in texts where text.isEmpty || text == "!" {
            table.problem(key, "holds \"\(text)\", which names nothing; write a name such as \"\(example)\"")
        }
        return NamePatterns(texts)
    }

    private func classes() -> Set<PointClass> {
        let key = "classes"
        guard let texts = table.strings(key) else { return [] }
        let names = PointClass.allCases.map(\.rawValue)
        if texts.isEmpty { table.problem(key, "is empty, so nothing would be handed on; remove it, or write \(key) = [\"live\"]") }
        return Set(
            texts.compactMap { text in
                if let one = PointClass(rawValue: text) { return one }
                table.problem(key, "\"\(text)\" is none of \(names.joined(separator: ", "))" + Spelling.hint(text, among: names))
                return nil
            })
    }

    /// Holds each filter against the devices there are: a name that leads nowhere is a slip, and so is a filter that leaves nothing.
    ///
    /// - Parameter names: of all devices, also of those whose other keys are wrong.
    static func check(_ outputs: [(output: Configuration.Output, at: TomlReader)], names: [String], devices: [Configuration.Device]) {
        guard outputs.contains(where: { $0.output.filter != nil }) else { return }
        var decoders: [String: ReadingDecoder] = [:]
        for device in devices {
            let key = "\(device.invert) \(device.profile.name)"
            if decoders[key] == nil { decoders[key] = ReadingDecoder(profile: device.profile, invert: device.invert) }
        }
        let measured = Set(decoders.values.flatMap { $0.quantities.map(\.id) })
        let quantities = measured.union(Vocabulary.all.map(\.id))
        for (output, table) in outputs {
            guard let filter = output.filter else { continue }
            let devicesFit = check(filter.devices, "devices", "device", among: names, "one of the [[device]] tables", table)
            let quantitiesFit = check(
                filter.quantities, "quantities", "quantity", among: quantities, "what `meterctl readings` lists", table)
            guard devicesFit, quantitiesFit, !devices.isEmpty, devices.count == names.count else { continue }
            let leavesSome = devices.contains { device in
                guard filter.devices.contains(device.name), let whole = decoders["\(device.invert) \(device.profile.name)"] else {
                    return false
                }
                return !filter.decoder(of: device.name, whole).selected.isEmpty
            }
            if !leavesSome {
                let key = ["quantities", "classes", "devices"].first { table.has($0) } ?? ""
                table.problem(
                    key, "devices, quantities and classes together leave nothing of any device to hand on; widen one, or remove the output")
            }
        }
    }

    /// - Returns: whether every pattern names something.
    private static func check(
        _ patterns: NamePatterns, _ key: String, _ what: String, among names: some Collection<String>, _ place: String,
        _ table: TomlReader
    ) -> Bool {
        var fits = !patterns.texts.contains { $0.isEmpty || $0 == "!" }
        for text in patterns.texts {
            let pattern = text.hasPrefix("!") ? String(text.dropFirst()) : text
            guard !pattern.isEmpty, !names.contains(where: { NamePatterns.matches($0, pattern) }) else { continue }
            fits = false
            let hint = Spelling.hint(pattern, among: names)
            table.problem(key, "\"\(pattern)\" matches no \(what)" + (hint.isEmpty ? "; name \(place), or remove it" : hint))
        }
        return fits
    }
}
