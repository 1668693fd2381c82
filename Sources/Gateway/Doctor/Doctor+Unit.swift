import Glibc

/// What the unit wants, and what it refuses, of the machine's files.
extension Doctor {
    /// What must be there before systemd starts the service; where it is not, nothing is measured at all.
    var checkNeeds: [DoctorCheck] {
        guard let unit else { return [] }
        let secrets = (unit.assignments("LoadCredential") + unit.assignments("LoadCredentialEncrypted")).compactMap { line in
            // NAME:PATH; a relative path is another credential's name, and may be missing.
            line.firstIndex(of: ":").map { String(line[line.index(after: $0)...]) }
        }
        let places = unit.values("ReadWritePaths").map { $0.first == "+" ? String($0.dropFirst()) : $0 }
        return secrets.filter(isMissing).map { path in
            .failure(
                "service", "the service will not start: its unit hands over \(path), which is not there",
                cure:
                    "put it back; and hand over the folder of all secrets, LoadCredential=secrets:/etc/meterd/secrets, so that one that is "
                    + "missing stops its output alone: docs/operating.md")
        }
            + places.filter(isMissing).map { path in
                .failure(
                    "service", "the service will not start: its unit has ReadWritePaths=\(path), which is not there",
                    cure: "mount or create it; ReadWritePaths=-\(path) lets the service start without it")
            }
    }

    /// Not what may not be looked at, nor what systemd puts together from its own words.
    private func isMissing(_ path: String) -> Bool {
        var facts = stat()
        return path.hasPrefix("/") && !path.contains("%") && stat(path, &facts) != 0 && [ENOENT, ENOTDIR].contains(errno)
    }

    /// A directory that the unit keeps read-only, whatever its rights and its disk say; nil where it does not.
    func writeRefusal(_ check: String, about subject: String? = nil, _ path: String) -> DoctorCheck? {
        guard let unit, PlaceRules(unit).refuses(path) else { return nil }
        return .failure(
            check, about: subject, "\(unit.file) does not let meterd write \(path): its ReadWritePaths= lacks it",
            cure: "sudo systemctl edit meterd, there [Service] and ReadWritePaths=-\(path), then sudo systemctl restart meterd")
    }
}
