import Metering

/// `meterctl profiles list`: a row for each profile, and below it what is hidden or wrong.
package struct ProfileListing: Sendable {
    let shelf: ProfileShelf

    package init(_ shelf: ProfileShelf) { self.shelf = shelf }

    package var table: Table {
        Table(
            [
                .init("PROFILE", cut: .middle, matters: true), .init("VENDOR", cut: .end), .init("POINTS", .right),
                .init("VERSION", .right),
                .init("FROM", cut: .middle), .init("MODELS", cut: .end, matters: true),
            ],
            rows: shelf.entries.map { entry in
                let profile = entry.profile
                let models = profile?.models.joined(separator: ", ") ?? (entry.file == nil ? "found by asking the device" : "not valid")
                return [
                    .init(entry.name), .init(profile?.vendor ?? "-"), .init(profile.map { String($0.points.count) } ?? "-"),
                    .init(profile.map { String($0.version) } ?? "-"), .init(entry.folder ?? "built in"),
                    .init(models, entry.problems.isEmpty ? .plain : .bad),
                ]
            })
    }

    /// `/etc/meterd/profiles/x.toml takes the place of /usr/share/meterd/profiles/x.toml`
    package var overrides: [String] {
        shelf.entries.flatMap { entry in entry.hidden.map { "\(entry.file ?? "") takes the place of \($0)" } }
    }

    package var problems: [String] { shelf.entries.flatMap(\.problems) }
}

extension ProfileShelf.Entry {
    /// The directory that it was found in.
    var folder: String? { file.map { String($0.dropLast(name.utf8.count + 6)) } }
}

extension ProfileListing: JSONValue {
    private enum Keys: String, CodingKey { case path, profiles }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Keys.path, shelf.path)
            $0.field(Keys.profiles, shelf.entries)
        }
    }
}

extension ProfileShelf.Entry: JSONValue {
    private enum Keys: String, CodingKey { case profile, vendor, models, version, points, file, hides, problems }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Keys.profile, name)
            $0.field(Keys.vendor, profile?.vendor)
            $0.field(Keys.models, profile?.models ?? [])
            $0.field(Keys.version, profile?.version)
            $0.field(Keys.points, profile?.points.count)
            $0.field(Keys.file, file)
            $0.field(Keys.hides, hidden)
            $0.field(Keys.problems, problems)
        }
    }
}
