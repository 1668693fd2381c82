import Fieldbus
import Host
import Logging
import Metering
import ServiceLifecycle
import Store
import UnixSignals
import Uplink

/// Reads the config again, on SIGHUP and when the local API asks, and brings the running parts in line with it, one reload at a time.
///
/// What did not change is not touched: it keeps its connection, its counters and its place. What cannot be applied changes nothing.
actor Reloader: GatewayControl, Service {
    /// Problems of one file that are logged one by one; the status has the first, `meterctl config check` has all.
    static let loggedProblems = 20

    /// Makes the parts of a configuration.
    struct Workshop: Sendable {
        var buses: @Sendable (Configuration, [CatalogID]) -> [Bus]
        var deliveries: @Sendable (Configuration, any Outbox) -> [DeliveryService]
    }

    private let load: @Sendable () throws(Problems) -> Configuration
    private let parts: GatewayParts
    private let workshop: Workshop
    private let state: GatewayState
    private let notifier: ServiceNotifier
    private let logger: Logger
    private var isOpen = false
    private var last: Task<ReloadOutcome, Never>?

    /// - Parameter load: reads the configuration as it stands in the files now.
    init(
        load: @escaping @Sendable () throws(Problems) -> Configuration, parts: GatewayParts, workshop: Workshop, state: GatewayState,
        notifier: ServiceNotifier, logger: Logger
    ) {
        self.load = load
        self.parts = parts
        self.workshop = workshop
        self.state = state
        self.notifier = notifier
        self.logger = logger
    }

    /// Answers SIGHUP until a graceful shutdown.
    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        isOpen = true
        for await _ in signals.cancelOnGracefulShutdown() { _ = await reload() }
        isOpen = false
        _ = await last?.value
    }

    func reload() async -> ReloadOutcome {
        guard isOpen else { return .unavailable("meterd is just starting or stopping; try again in a moment") }
        // A task of its own, so that the next one can wait for it whatever becomes of this caller; `run` waits for the last.
        let task = Task { [before = last] in
            _ = await before?.value
            return await self.apply()
        }
        last = task
        return await task.value
    }

    private func apply() async -> ReloadOutcome {
        notifier.reloading()
        defer { notifier.ready() }
        let new: Configuration
        do throws(Problems) { new = try load() } catch {
            let problems = error.list.map(\.description)
            let more = problems.count > 1 ? " (and \(problems.count - 1) more: meterctl config check)" : ""
            return refuse(
                problems, .refused("the config cannot be applied and the old one stays in force: \(problems.first ?? "")\(more)"))
        }
        let old = parts.lineup.withLock { $0 }
        let plan = ReloadPlan(from: old.configuration, to: new)
        guard plan.refusals.isEmpty else {
            return refuse(
                plan.refusals,
                .needsRestart(
                    "\(plan.refusals.joined(separator: "; ")); until then the old config stays in force, with all that was changed"))
        }
        let known: Configuration
        let ids: [CatalogID]
        do throws(StoreError) {
            known = try await parts.maps.recall(new)
            ids = known.ids(try await parts.store.adopt(known.entries))
        } catch {
            let text = "the journal cannot take the devices in: \(error); nothing changed, try again when that is mended"
            state.note(reloadProblem: .refused(text))
            logger.error("config not reloaded; nothing changed", metadata: ["store.error": "\(error.code.rawValue)", "reason": "\(error)"])
            return .unavailable(text)
        }
        exchange(old, new, known, ids, plan)
        await parts.adapt(to: new.journal)
        state.note(reloadProblem: nil)
        logger.info(
            "config reloaded",
            metadata: [
                "buses.kept": "\(plan.buses.keep.count)", "buses.stopped": "\(plan.buses.stop.joined(separator: ","))",
                "buses.started": "\(plan.buses.start.joined(separator: ","))", "outputs.kept": "\(plan.outputs.keep.count)",
                "outputs.stopped": "\(plan.outputs.stop.joined(separator: ","))",
                "outputs.started": "\(plan.outputs.start.joined(separator: ","))",
            ])
        return .applied(ReloadReport(buses: ReloadChange(plan.buses), outputs: ReloadChange(plan.outputs)))
    }

    /// Cannot fail, so that a reload is done wholly or not at all.
    ///
    /// - Parameter known: `new` with the maps that were found.
    private func exchange(_ old: Lineup, _ new: Configuration, _ known: Configuration, _ ids: [CatalogID], _ plan: ReloadPlan) {
        parts.maps.show(known.devices, ids, kept: Set(plan.buses.keep))
        for name in plan.buses.stop { parts.busCrew.stop(name) }
        for name in plan.outputs.stop { parts.outputCrew.stop(name) }

        var changed = known
        changed.buses.removeAll { plan.buses.keep.contains($0.name) }
        changed.outputs.removeAll { plan.outputs.keep.contains($0.name) }
        let started = Lineup(
            configuration: changed, buses: workshop.buses(changed, ids),
            deliveries: workshop.deliveries(changed, PreparedOutbox(store: parts.store)))
        let lineup = Lineup(
            configuration: new, buses: new.buses.compactMap { started.bus($0.name) ?? old.bus($0.name) },
            deliveries: new.outputs.compactMap { started.delivery($0.name) ?? old.delivery($0.name) })
        parts.lineup.withLock { $0 = lineup }

        for bus in started.buses { parts.start(bus) }
        for name in plan.outputs.stop where !plan.outputs.start.contains(name) { parts.retire(output: name) }
        for (output, delivery) in zip(changed.outputs, started.deliveries) { parts.start(delivery, output: output.name) }
        // A token or a certificate may have been mended in its file.
        for name in plan.outputs.keep { lineup.delivery(name)?.reload() }
    }

    private func refuse(_ problems: [String], _ problem: ReloadProblem) -> ReloadOutcome {
        state.note(reloadProblem: problem)
        logger.error("config not reloaded; nothing changed", metadata: ["problems": "\(problems.count)"])
        for problem in problems.prefix(Reloader.loggedProblems) { logger.error("config problem", metadata: ["problem": "\(problem)"]) }
        return .refused(problems)
    }
}
