import Host
import Metering

/// Asks the kernel for its clock every few seconds and publishes the answer, for a daemon that is confined so that it may not ask. It does
/// nothing else: it reads no config, opens no port, no socket and no database.
package struct ClockCompanion: Sendable {
    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// The kernel does not answer this process either.
        case refused
        case unpublished(ClockStateFile.WriteError)

        package var description: String {
            switch self {
            case .refused:
                "this process may not ask the kernel for its clock (adjtimex); allow the call in the container or the unit that it runs in"
            case .unpublished(let error): "\(error); name a directory that is there and may be written to"
            }
        }
    }

    private let file: ClockStateFile
    private let ask: @Sendable () -> KernelAnswer?
    private let notifier: ServiceNotifier
    private let time: any TimeSource

    /// - Parameter directory: where the file is put; it must be there.
    package init(
        directory: String, notifier: ServiceNotifier, time: any TimeSource, ask: @escaping @Sendable () -> KernelAnswer? = KernelAnswer.ask
    ) {
        file = ClockStateFile(path: "\(directory)/\(ClockStateFile.name)")
        self.ask = ask
        self.notifier = notifier
        self.time = time
    }

    /// Runs until the task is cancelled, or until the answer cannot be had or published: whoever started it does so again.
    package func run() async throws(Failure) {
        var told: Bool?
        while !Task.isCancelled {
            // Before the question: the answer is at least as new.
            let asked = time.uptime()
            guard let answer = ask() else { throw .refused }
            do throws(ClockStateFile.WriteError) {
                try file.publish(ClockStateFile.Entry(answer: answer, asked: asked))
            } catch {
                throw .unpublished(error)
            }
            if told == nil { notifier.ready() }
            if told != answer.isSynchronized {
                told = answer.isSynchronized
                notifier.status("the kernel calls the clock \(answer.isSynchronized ? "synchronised" : "not synchronised")")
            }
            notifier.alive()
            try? await time.sleep(until: asked + ClockStateFile.interval)
        }
    }
}
