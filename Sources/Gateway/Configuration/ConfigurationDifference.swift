/// One place where two configurations differ.
package struct ConfigurationDifference: Hashable, Sendable {
    package enum Change: String, Hashable, Sendable, Decodable, JSONValue { case added, changed, removed }

    package var change: Change
    package var table: String
    package var name: String?
    /// Nil when the whole table came or went.
    package var key: String?
    /// As they may be shown; nil where there is none. Both are the same where only a secret in them, or the file that they name, differs.
    package var before: ConfigurationValue?
    package var after: ConfigurationValue?
    /// Where it stands in the files; nil when it is gone from them.
    package var file: String?
    package var line: Int?
}

/// The config files against what the daemon runs with: `GET /v1/config/diff`.
package struct ConfigurationDifferences: Hashable, Sendable {
    package var differences: [ConfigurationDifference]

    package init(differences: [ConfigurationDifference]) { self.differences = differences }

    /// In the order of the new listing; what is gone stands last. The order of tables and keys counts for nothing.
    package init(from old: ConfigurationListing, to new: ConfigurationListing) {
        let before = Dictionary(old.entries.map { ([$0.place, $0.key], $0) }) { first, _ in first }
        let after = Dictionary(new.entries.map { ([$0.place, $0.key], $0) }) { first, _ in first }
        let (placesBefore, placesAfter) = (Set(old.entries.map(\.place)), Set(new.entries.map(\.place)))
        var told: Set<String> = []
        differences = []
        for entry in new.entries {
            if !placesBefore.contains(entry.place) {
                if told.insert(entry.place).inserted { differences.append(ConfigurationDifference(.added, entry, key: nil)) }
                continue
            }
            let earlier = before[[entry.place, entry.key]]
            guard earlier?.exact != entry.exact || earlier?.content != entry.content else { continue }
            var difference = ConfigurationDifference(
                earlier?.exact == nil ? .added : entry.exact == nil ? .removed : .changed, entry, key: entry.key)
            (difference.before, difference.after) = (earlier?.value, entry.value)
            differences.append(difference)
        }
        for entry in old.entries {
            if !placesAfter.contains(entry.place) {
                if told.insert(entry.place).inserted { differences.append(ConfigurationDifference(.removed, entry, key: nil)) }
            } else if after[[entry.place, entry.key]] == nil, entry.exact != nil {
                // A key that belongs to another type of output.
                var difference = ConfigurationDifference(.removed, entry, key: entry.key)
                difference.before = entry.value
                differences.append(difference)
            }
        }
    }
}

extension ConfigurationDifference {
    fileprivate init(_ change: Change, _ entry: ConfigurationEntry, key: String?) {
        self.init(change: change, table: entry.table, name: entry.name, key: key, before: nil, after: nil, file: nil, line: nil)
        guard change != .removed else { return }
        switch entry.origin {
        case .file(let file, let line), .inherited(_, let file, let line): (self.file, self.line) = (file, line)
        case .standard: break
        }
    }
}

extension ConfigurationDifferences: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case same, differences }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.same, differences.isEmpty)
            $0.field(CodingKeys.differences, differences)
        }
    }

    package init(from decoder: any Decoder) throws {
        differences = try decoder.container(keyedBy: CodingKeys.self).decode([ConfigurationDifference].self, forKey: .differences)
    }
}

extension ConfigurationDifference: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case change, table, name, key, before, after, file, line }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.change, change)
            $0.field(CodingKeys.table, table)
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.key, key)
            $0.field(CodingKeys.before, before)
            $0.field(CodingKeys.after, after)
            $0.field(CodingKeys.file, file)
            $0.field(CodingKeys.line, line)
        }
    }
}
