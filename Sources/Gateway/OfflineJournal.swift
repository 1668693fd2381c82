import FoundationEssentials
import Host
import Logging
import Metering
import Store

/// The journal of a daemon that does not run, opened to be read; nothing in it changes.
package struct OfflineJournal: Sendable {
    private let store: Store
    private let desk: OutputDesk

    /// Where a journal lies unless the config says otherwise.
    package static let defaultDirectory = "/var/lib/meterd"

    /// Why it cannot be read; the text says what to do.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package static func open(directory: String) async throws(Failure) -> OfflineJournal {
        let logger = Logger(label: "meterctl") { _ in SwiftLogNoOpLogHandler() }
        do throws(StoreError) {
            let store = try await Store.openToRead(directory: directory, time: SystemTime(), logger: logger)
            return OfflineJournal(store: store, desk: OutputDesk(store: store, deliveries: { [] }))
        } catch {
            throw Failure(description: "\(error)")
        }
    }

    package func journal() async -> JournalReport { GatewayState.report(await store.journalState()) }

    /// As the daemon does it.
    ///
    /// - Parameters:
    ///   - format: `csv` or `jsonl`.
    ///   - devices: all when there are none.
    /// - Throws: `Failure`, and what `write` throws.
    package func export(
        format: String, devices: [String], from: Timestamp?, until: Timestamp?, write: ([UInt8]) async throws -> Void
    ) async throws {
        guard let format = JournalExport.Format(rawValue: format) else { throw Failure(description: "format must be csv or jsonl") }
        let known: [String]
        do throws(OutputControlError) { known = try await desk.exportableDevices() } catch { throw Failure(description: "\(error)") }
        for device in devices where !known.contains(device) {
            throw Failure(description: OutputControlError.unknownDeviceText(device, known: known))
        }
        let export = JournalExport(format: format, devices: devices.isEmpty ? nil : Set(devices), from: from, until: until)
        do {
            try await desk.export(export, write: write)
        } catch let error as StoreError {
            throw Failure(description: "\(error)")
        }
    }

    package func close() async { await store.close() }
}
