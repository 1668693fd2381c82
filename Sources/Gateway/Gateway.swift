// Gateway: how the parts live together: config, services in order, local API.
//
// The only place that knows all the rooms. It contains no domain arithmetic.

import AsyncHTTPClient
import Fieldbus
import Host
import Logging
import Metering
import NIOPosix
import ServiceLifecycle
import Store
import Uplink

/// One running gateway: the parts of a configuration, put together.
package struct Gateway: Sendable {
    package static let version = Release.version
    /// After SIGTERM the services have this long; the journal is committed all the same.
    static let stopBound: Duration = .milliseconds(1500)
    static let clientStopGrace: Duration = .milliseconds(200)

    let time: any TimeSource
    let logger: Logger
    let parts: GatewayParts
    let workshop: Reloader.Workshop
    let state: GatewayState
    /// The last seq of before this start.
    private let seqBefore: Int64

    /// Runs a gateway with this configuration until SIGTERM or SIGINT.
    ///
    /// - Parameters:
    ///   - reload: reads the configuration as it stands in the files, for SIGHUP and `meterctl reload`.
    ///   - environment: where the service manager leaves its wishes.
    ///   - logLevel: what the logger goes by; nil when it cannot be changed.
    /// - Throws: `StoreError` when the data directory cannot be used: without it nothing could be kept.
    package static func serve(
        _ configuration: Configuration, reload: @escaping @Sendable () throws(Problems) -> Configuration, environment: [String: String],
        time: any TimeSource, logger: Logger, logLevel: LogLevelControl? = nil
    ) async throws {
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = HTTPClient(eventLoopGroup: eventLoops, configuration: HTTPUpstream.clientConfiguration)
        let outcome: Result<Void, any Error>
        do {
            let gateway = try await Gateway(configuration, client: client, time: time, logger: logger)
            outcome = .success(try await gateway.run(eventLoops: eventLoops, reload: reload, environment: environment, logLevel: logLevel))
        } catch {
            outcome = .failure(error)
        }
        // A connection that is just being made would hold it up; the process ends anyway.
        _ = await waitAtMost(Gateway.clientStopGrace, time) { try? await client.shutdown() }
        try outcome.get()
    }

    /// Opens the store and builds every part; nothing runs yet.
    ///
    /// - Parameter client: carries the requests of all HTTP outputs.
    init(_ configuration: Configuration, client: HTTPClient, time: any TimeSource, logger: Logger) async throws(StoreError) {
        self.time = time
        self.logger = logger
        let limits = Gateway.limits(configuration.journal)
        let store = try await Store.open(
            directory: configuration.gateway.dataDirectory, outputs: configuration.outputs.map(\.name), time: time, limits: limits,
            patient: true, logger: logger)
        let journal = JournalWriter(
            store: store, interval: configuration.journal.commitInterval, time: time, limits: limits, logger: logger)
        let live = LiveReadings([])
        let decoders = DecoderShelf()
        let maps = MapDesk(store: store, live: live, decoders: decoders)
        // As the maps were found last: the devices may be asleep.
        let known = try await maps.recall(configuration)
        let ids = known.ids(try await store.promise(known.entries))
        maps.show(known.devices, ids)
        let exchanges = ExchangeWatch(live: live, logger: logger)
        let intake = PollIntake(live: live, journal: journal, exchanges: exchanges)
        seqBefore = await store.journalState().lastSeq
        let report = await store.openReport
        workshop = Reloader.Workshop(
            buses: { Gateway.buses($0, ids: $1, sink: intake, maps: maps, time: time, logger: logger) },
            deliveries: { configuration, outbox in
                configuration.outputs.map { output in
                    Gateway.delivery(
                        output, configuration, journalID: report.journalID, outbox: outbox, decoders: decoders, client: client, time: time,
                        logger: logger)
                }
            })
        let lineup = Lineup(
            configuration: configuration, buses: workshop.buses(known, ids), deliveries: workshop.deliveries(configuration, store))
        parts = GatewayParts(
            store: store, journal: journal, live: live, maps: maps, intake: intake, exchanges: exchanges, lineup: Lock(lineup),
            logger: logger)
        state = GatewayState(started: time.wall(), startedUptime: time.uptime(), parts: parts, time: time)
    }

    static func limits(_ journal: Configuration.Journal) -> StoreLimits {
        StoreLimits(
            retention: journal.retention, sizeLimit: journal.sizeLimit, undatedHold: journal.undatedHold, sendsUndated: journal.sendsUndated
        )
    }

    private static func buses(
        _ configuration: Configuration, ids: [CatalogID], sink: any PollSink, maps: any MapKeeper, time: any TimeSource, logger: Logger
    ) -> [Bus] {
        let devices = Dictionary(grouping: zip(configuration.devices, ids)) { $0.0.bus }
        return configuration.buses.map { bus in
            let own = (devices[bus.name] ?? []).map { device, id in
                DeviceDescription(
                    name: device.name, unit: device.unit, entry: id, profile: device.profile, periods: device.periods,
                    search: device.search)
            }
            let reader = makeReader(for: bus, time: time)
            // The loop sleeps on the reader's thread, where it runs; with another clock, in tests, it sleeps by that.
            let thread = time is SystemTime ? (reader as? any OnThread)?.thread : nil
            return Bus(
                bus, devices: own, reader: reader, sink: sink, maps: maps,
                time: thread.map { ThreadTime(on: $0, clockState: time.clockState) } ?? time, logger: logger)
        }
    }

    /// What a broker knows an output by that has no client id of its own.
    static func clientID(of output: String, gateway: String) -> String { "meterd-\(gateway)-\(output)" }

    private static func delivery(
        _ output: Configuration.Output, _ configuration: Configuration, journalID: String, outbox: any Outbox, decoders: DecoderShelf,
        client: HTTPClient, time: any TimeSource, logger: Logger
    ) -> DeliveryService {
        let upstream: any Upstream =
            switch output.target {
            case .http(let settings): HTTPUpstream(settings, client: client, time: time)
            case .mqtt(let settings):
                MQTTUpstream(settings.named(clientID(of: output.name, gateway: configuration.gateway.id)), time: time)
            case .file(let settings): FileUpstream(settings)
            }
        let settings = DeliverySettings(
            gateway: configuration.gateway.id, site: configuration.gateway.site, output: output.name, journalID: journalID,
            batchRecords: output.batchRecords, batchBytes: output.batchBytes, batchAge: output.batchAge, filter: output.filter,
            pace: output.pace, policy: output.policy, requestTimeout: output.timeout, stopGrace: .milliseconds(300))
        return DeliveryService(
            settings, outbox: outbox, upstream: upstream, decoder: { try decoders.decoder(of: $0) }, time: time, logger: logger)
    }

    /// Runs until SIGTERM or SIGINT, then stops in order. The journal is committed and closed when it returns.
    func run(
        eventLoops: MultiThreadedEventLoopGroup, reload: @escaping @Sendable () throws(Problems) -> Configuration,
        environment: [String: String], logLevel: LogLevelControl?
    ) async throws {
        let notifier = ServiceNotifier(environment: environment)
        let configuration = parts.lineup.withLock { $0.configuration }
        let reloader = Reloader(load: reload, parts: parts, workshop: workshop, state: state, notifier: notifier, logger: logger)
        let doors = doors(configuration.api, reloader, load: reload, logLevel: logLevel, eventLoops)
        // Started from the first to the last and stopped from the last to the first: the signs of life end at once, then the buses bring
        // in what they are reading; whoever asks and whoever delivers can do so until then; the journal ends last and commits it all.
        let services: [any Service] =
            [
                JournalService(journal: parts.journal, time: time),
                OutputsService(parts: parts),
            ] + doors + [
                BusesService(parts: parts, time: time, logger: logger),
                ExchangeRecall(
                    store: parts.store, watch: parts.exchanges, devices: Set(configuration.devices.map(\.name)), before: seqBefore,
                    logger: logger),
                // Nothing comes or goes any more once the stop begins.
                reloader,
                LifeSigns(
                    watchdog: Watchdog(hearts: { heartbeats }, notifier: notifier, time: time, logger: logger), state: state,
                    notifier: notifier, time: time),
            ]
        // A service that fails stops the others in order, so that nothing in hand is lost.
        var group = ServiceGroupConfiguration(
            services: services.map { .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = Gateway.stopBound
        group.logger.logLevel = logger.logLevel == .debug ? .debug : .warning
        let count = configuration.devices.count
        logger.info(
            "meterd runs",
            metadata: [
                "meterd.version": "\(Gateway.version)", "devices": "\(count)", "buses": "\(configuration.buses.count)",
                "outputs": "\(configuration.outputs.count)",
            ])
        if count == 0 { logger.notice("no device is configured; add [[bus]] and [[device]] tables to the config") }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await ServiceGroup(configuration: group).run()) } catch { outcome = .failure(error) }
        // Whatever a service left behind.
        _ = await parts.journal.commitAll()
        let waiting = parts.journal.waitingPolls
        if waiting > 0 { logger.error("polls could not be committed before the end", metadata: ["polls": "\(waiting)"]) }
        await parts.store.close()
        logger.info("meterd ends", metadata: ["polls.taken": "\(parts.intake.count)"])
        try outcome.get()
    }

    /// The local API on its socket, and on TCP where the config says so.
    private func doors(
        _ settings: Configuration.API, _ reloader: Reloader, load: @escaping @Sendable () throws(Problems) -> Configuration,
        logLevel: LogLevelControl?, _ eventLoops: MultiThreadedEventLoopGroup
    ) -> [any Service] {
        let lineup = parts.lineup
        let faults = state.listenerFaults
        let outputs = OutputDesk(store: parts.store) {
            let lineup = lineup.withLock { $0 }
            return Array(zip(lineup.configuration.outputs.map(\.name), lineup.deliveries))
        }
        let commissioner = Commissioner {
            let lineup = lineup.withLock { $0 }
            return (lineup.configuration, lineup.buses)
        }
        let desk = ConfigurationDesk(load: load) { lineup.withLock { $0.configuration.listing } }
        let intervals = IntervalDesk(store: parts.store, time: time) { [parts] in
            (parts.lineup.withLock { $0.configuration.devices.map(\.name) }, parts.live.entries)
        }
        var servers = [
            LocalAPIServer(
                view: state, control: reloader, outputs: outputs, commissioning: commissioner,
                field: FieldDesk { lineup.withLock { $0.buses } }, intervals: intervals, configuration: desk, logLevel: logLevel,
                socket: settings.socket, eventLoopGroup: eventLoops, time: time, logger: logger,
                onListening: { faults.clear(settings.socket) })
        ]
        if let listen = settings.listen {
            let door = LocalAPIDoor.tcp(listen, token: settings.tokenFile.map { TokenFile(path: $0) })
            servers.append(servers[0].also(on: door, limits: .tcp, onBound: { _ in faults.clear(door.name) }))
        }
        return servers.map { LocalAPIService(server: $0, faults: faults, time: time, logger: logger) }
    }

    private var heartbeats: [Heartbeat] {
        let journal = Heartbeat(name: "journal", patience: .seconds(60)) { [journal = parts.journal] in journal.heartbeat }
        return [journal] + parts.lineup.withLock { $0 }.heartbeats(time)
    }
}

/// What a bus brings goes to the board that people look at and to the journal that is kept.
final class PollIntake: PollSink {
    private let live: LiveReadings
    private let journal: JournalWriter
    private let exchanges: ExchangeWatch
    private let taken = Lock(0)

    init(live: LiveReadings, journal: JournalWriter, exchanges: ExchangeWatch) {
        self.live = live
        self.journal = journal
        self.exchanges = exchanges
    }

    /// Polls taken since the start, of buses that are gone too.
    var count: Int { taken.withLock { $0 } }

    func take(_ poll: Poll) {
        taken.withLock { $0 += 1 }
        journal.take(poll, readings: live.remember(poll))
        exchanges.take(poll)
    }
}
