/// Tables that take over what others say. Every value keeps its place, so a problem with it is told where it stands, once.
extension TomlReader {
    /// This table with the keys of `defaults` that it has not itself.
    package func inheriting(_ defaults: TomlReader) -> TomlReader {
        var origins = origins
        for key in defaults.members.keys where members[key] == nil {
            origins[key] = defaults.origins[key] ?? TomlOrigin(file: defaults.file, path: defaults.path)
        }
        return TomlReader(self, members: members.merging(defaults.members) { own, _ in own }, origins: origins)
    }

    /// One table for each member of the table `key`, with the rest of this one underneath, in the order in which they stand.
    ///
    ///     [[device]]                              name = "hall", unit = 3, role = "load"
    ///     role = "load"                           name = "roof", unit = 7, role = "pv"
    ///     [device.units]                   →
    ///     hall = 3
    ///     roof = { unit = 7, role = "pv" }
    ///
    /// - Parameters:
    ///   - name: the key that a member's own key becomes.
    ///   - short: the key that a member is the value of when it is no table.
    package func members(of key: String, named name: String, short: String) -> [TomlReader] {
        guard let group = table(key) else { return [] }
        for own in [name, short] where members[own] != nil && origins[own] == nil {
            problem(own, "belongs to a single \(path.prefix { $0 != "[" }); remove it, each line of \(key) has its own")
        }
        if group.members.isEmpty { group.problem("", "is empty; add a line for each, such as hall = 1") }
        let shared = members.filter { ![key, name, short].contains($0.key) }
        return group.members.sorted { ($0.value.keyPlace ?? $0.value.place) < ($1.value.keyPlace ?? $1.value.place) }.compactMap {
            member, node in
            var own: [String: TomlNode] = [short: node]
            if case .table(let keys) = node.content {
                own = keys
                guard keys[short] != nil else {
                    group.problem(member, "has no \(short); add \(short) = 1")
                    return nil
                }
                if let inner = keys[name] {
                    log.add(
                        Problem(
                            file: group.file, place: inner.keyPlace ?? inner.place, key: "\(group.keyPath(member)).\(name)",
                            text: "is given by the line's own key; remove it"))
                }
            }
            own[name] = TomlNode(content: .string(member), place: node.keyPlace ?? node.place, keyPlace: node.keyPlace)
            var origins = origins
            for key in own.keys { origins[key] = TomlOrigin(file: group.file, path: group.keyPath(member)) }
            return TomlReader(self, members: shared.merging(own) { $1 }, origins: origins)
        }
    }
}
