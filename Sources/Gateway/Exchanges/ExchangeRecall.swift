import Logging
import Metering
import ServiceLifecycle
import Store

/// Reads in the journal which meters stood where before this start, once, so that one that was exchanged while the daemon was not running is
/// noticed.
struct ExchangeRecall: Service {
    let store: Store
    let watch: ExchangeWatch
    let devices: Set<String>
    /// The last seq of before this start.
    let before: Int64
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            do {
                for found in try await SerialHistory(devices: devices, before: before).run(on: store) {
                    watch.recall(device: found.device, serial: found.serial, lastSeen: found.time)
                }
            } catch is CancellationError {
                return
            } catch {
                logger.notice("the meters of before cannot be told from the journal", metadata: ["store.reason": "\(error)"])
            }
        }
        try? await gracefulShutdown()
    }
}
