import Metering

/// Finds the serial number that each device last said of itself before this start of the daemon. Devices say it when the daemon starts, so
/// the beginnings of the last runs are looked through, newest first.
package struct SerialHistory: Sendable {
    package struct Finding: Hashable, Sendable {
        package var device: String
        package var serial: String
        package var time: Timestamp
    }

    package var devices: Set<String>
    /// Only polls up to this seq.
    package var before: Int64

    package init(devices: Set<String>, before: Int64) {
        self.devices = devices
        self.before = before
    }

    /// Runs, and the polls of each, that are looked through.
    static let runs = 16
    static let polls = 5000

    /// - Throws: `StoreError` `.io`, `.corrupt`, `.closed`; `CancellationError`.
    package func run(on store: Store) async throws -> [Finding] {
        var wanted = devices
        var findings: [Finding] = []
        guard !wanted.isEmpty, before > 0 else { return [] }
        let corrections = try await store.timeCorrections()
        var decoders: [CatalogID: (device: String, decoder: ReadingDecoder)?] = [:]
        for run in try await store.keptRuns().filter({ $0.seqs.lowerBound <= before }).suffix(SerialHistory.runs).reversed() {
            // Within a run the later one holds: a meter that came back after a loss may be another.
            var own: [String: Finding] = [:]
            let last = min(before, run.seqs.upperBound, run.seqs.lowerBound + Int64(SerialHistory.polls) - 1)
            var seq = run.seqs.lowerBound - 1
            while seq < last {
                try Task.checkCancellation()
                let page = try await store.exportPage(after: seq, through: last, from: nil, until: nil, corrections: corrections)
                for stored in page.polls {
                    if decoders[stored.poll.entry] == nil {
                        decoders[stored.poll.entry] = .some(try await decoder(stored.poll.entry, store))
                    }
                    guard case let (device, decoder)?? = decoders[stored.poll.entry], wanted.contains(device),
                        let serial = SerialHistory.serial(in: stored.poll, decoder)
                    else { continue }
                    own[device] = Finding(device: device, serial: serial, time: stored.poll.time)
                }
                seq = page.through
            }
            findings += own.values
            wanted.subtract(own.keys)
            if wanted.isEmpty { break }
        }
        return findings.sorted { $0.device < $1.device }
    }

    /// Nil for a device that has no serial number, and for what cannot be read any more.
    private func decoder(_ id: CatalogID, _ store: Store) async throws -> (device: String, decoder: ReadingDecoder)? {
        guard let entry = try await store.entry(id), let profile = try? Profile(toml: entry.profileText, file: entry.profile + ".toml"),
            profile.points.contains(where: { $0.quantity.id == "device_serial" })
        else { return nil }
        return (entry.device, ReadingDecoder(profile: profile, invert: entry.invert))
    }

    private static func serial(in poll: Poll, _ decoder: ReadingDecoder) -> String? {
        guard let index = decoder.quantities.firstIndex(where: { $0.id == "device_serial" }),
            poll.answers.contains(where: { $0.block.covers(decoder.profile.points[index].block) })
        else { return nil }
        let reading = decoder.decode(poll.answers).first { $0.point == index }
        guard case .text(let text)? = reading?.value, IdentityRecord.names(text) else { return nil }
        return text
    }
}
