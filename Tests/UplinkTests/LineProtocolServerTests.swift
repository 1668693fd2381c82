import Host
import Logging
import Metering
import Store
import TestSupport
import Testing

@testable import Uplink

/// Line protocol against the servers that Debian has.
@Suite(.serialized) struct LineProtocolServerTests {
    private static let influxd = RealServer.path("influxd")
    private static let victoria = RealServer.path("victoria-metrics")

    private func withInflux(_ body: (RealServer) async throws -> Void) async throws {
        try await RealServer.influxDB1("max-body-size = 20000") {
            _ = try await $0.ask("/query?q=CREATE+DATABASE+m", post: "")
            try await body($0)
        }
    }

    private func url(_ server: RealServer, _ query: String = "?db=m") -> String {
        LineProtocol.address("http://127.0.0.1:\(server.port)/write\(query)")
    }

    /// Delivers polls 1 ... count through the whole of delivery, and gives back the dead letters.
    private func deliver(_ count: Int64, to url: String, batchRecords: Int = 500) async throws -> [Rejection] {
        let outbox = MemoryOutbox((1...count).map { Plant.poll($0) })
        try await withUpstream(url, format: .lineProtocol(LineProtocol())) { upstream in
            let settings = DeliverySettings(
                gateway: "gw-017", site: nil, output: "influx", journalID: "2f6e", batchRecords: batchRecords, batchAge: .zero)
            let service = DeliveryService(
                settings, outbox: outbox, upstream: upstream, decoder: { _ in Plant.decoder }, time: SystemTime(),
                logger: Logger(label: "test"), chance: { 0 })
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await service.run() }
                await outbox.settled(through: count)
                group.cancelAll()
            }
        }
        return await outbox.deadLetters
    }

    @Test(.enabled(if: influxd != nil, "influxdb is not installed"))
    func influxDB1StoresWhatItIsSentAndRepeatsDoNotDouble() async throws {
        try await withInflux { server in
            let (first, again) = try await withUpstream(url(server), format: .lineProtocol(LineProtocol())) { upstream in
                (await upstream.send(Plant.batch(1...50)), await upstream.send(Plant.batch(11...50)))
            }
            #expect(first == .accepted(rejected: []) && again == .accepted(rejected: []))
            let rows = try await server.ask("/query?db=m&epoch=ms&q=SELECT+*+FROM+meterd+LIMIT+1")
            #expect(rows.contains(#"["time","device","energy_active_import","gateway","role","seq","site","voltage_l1"]"#), "\(rows)")
            #expect(rows.contains(#"[1795459200001,"main",1,"gw-017","grid",1,"park-2/factory-12",230.4]"#), "\(rows)")
            let count = try await server.ask("/query?db=m&q=SELECT+count(seq)+FROM+meterd")
            #expect(count.contains(",50]"), "\(count)")
        }
    }

    @Test(.enabled(if: influxd != nil, "influxdb is not installed"))
    func influxDB1EscapesAreReadBackAsTheyWereMeant() async throws {
        try await withInflux { server in
            var batch = Plant.batch(1...1)
            batch.site = "hall 2, x=y \"z\" ü"
            let sent = batch
            _ = try await withUpstream(url(server), format: .lineProtocol(LineProtocol(measurement: "my meters, all"))) {
                await $0.send(sent)
            }
            let series = try await server.ask("/query?db=m&q=SHOW+TAG+VALUES+WITH+KEY%3Dsite")
            #expect(series.contains(#"hall 2, x=y \"z\" ü"#) && series.contains("my meters, all"), "\(series)")
        }
    }

    /// Poll 137 collides with a field of another type that stands in the shard of its day.
    @Test(.enabled(if: influxd != nil, "influxdb is not installed"))
    func oneRecordThatInfluxDB1DropsIsOneDeadLetter() async throws {
        try await withInflux { server in
            // InfluxDB 1 keeps types by shard, and a shard is a week here: give the bad one a field of its own through the other device.
            _ = try await server.ask("/write?db=m&precision=ms", post: "odd voltage_l1=\"text\" 1795459200000")
            var bad = Plant.batch(1...500)
            bad.records[136].readings = [Reading(point: 0, value: .text("not a number"))]
            let batch = bad
            let upstreamURL = url(server)
            let answer = try await withUpstream(upstreamURL, format: .lineProtocol(LineProtocol(texts: true))) { upstream in
                _ = await upstream.send(Plant.batch(1...1))
                return await upstream.send(batch)
            }
            // It only counts what it dropped, so the plan halves; each good line is stored by then.
            guard case .refused(let reason) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(reason.contains("partial write") && reason.contains("dropped=1"), "\(reason)")
            let alone = Batch(
                gateway: "gw-017", site: batch.site, output: "park", journalID: "2f6e", first: 137, last: 137, historical: false,
                records: [batch.records[136]])
            let single = try await withUpstream(upstreamURL, format: .lineProtocol(LineProtocol(texts: true))) { await $0.send(alone) }
            guard case .accepted(let rejected) = single else {
                Issue.record("\(single)")
                return
            }
            #expect(rejected.map(\.seq) == [137])
            let count = try await server.ask("/query?db=m&q=SELECT+count(seq)+FROM+meterd")
            #expect(count.contains(",499]"), "\(count)")
        }
    }

    @Test(.enabled(if: influxd != nil, "influxdb is not installed"))
    func whatIsOlderThanInfluxDB1KeepsIsRejectedAndTheRestAccepted() async throws {
        try await withInflux { server in
            _ = try await server.ask("/query?q=CREATE+RETENTION+POLICY+short+ON+m+DURATION+1h+REPLICATION+1+DEFAULT", post: "")
            var batch = Plant.batch(1...20)
            let now = SystemTime().wall().milliseconds
            for index in batch.records.indices {
                batch.records[index].time = Timestamp(milliseconds: now - (index < 5 ? 86_400_000 : 0) + Int64(index))
            }
            let sent = batch
            let answer = try await withUpstream(url(server), format: .lineProtocol(LineProtocol())) { await $0.send(sent) }
            guard case .accepted(let rejected) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(rejected.map(\.seq) == [1, 2, 3, 4, 5])
        }
    }

    @Test(.enabled(if: influxd != nil, "influxdb is not installed"))
    func aBatchTooLargeForInfluxDB1ArrivesInParts() async throws {
        try await withInflux { server in
            #expect(try await deliver(2000, to: url(server), batchRecords: 2000) == [])
            let count = try await server.ask("/query?db=m&q=SELECT+count(seq)+FROM+meterd")
            #expect(count.contains(",2000]"), "\(count)")
        }
    }

    @Test(.enabled(if: influxd != nil, "influxdb is not installed"))
    func aDatabaseThatIsNotThereOrNotNamedPauses() async throws {
        try await withInflux { server in
            for query in ["?db=other", ""] {
                let answer = try await withUpstream(url(server, query), format: .lineProtocol(LineProtocol())) {
                    await $0.send(Plant.batch(1...3))
                }
                guard case .unauthorized(let reason) = answer else {
                    Issue.record("\(query): \(answer)")
                    return
                }
                #expect(reason.contains("url"))
            }
        }
    }

    @Test(.enabled(if: victoria != nil, "victoria-metrics is not installed"))
    func victoriaMetricsStoresEveryNumber() async throws {
        try await RealServer.victoriaMetrics { server in
            // Of this minute: it drops what is more than two days ahead.
            let start = SystemTime().wall().milliseconds - 60_000
            var dated = Plant.batch(1...50)
            for index in dated.records.indices { dated.records[index].time = Timestamp(milliseconds: start + Int64(index)) }
            let batch = dated
            for path in ["/write", "/api/v2/write"] {
                let answer = try await withUpstream(
                    LineProtocol.address("http://127.0.0.1:\(server.port)\(path)"), format: .lineProtocol(LineProtocol())
                ) { await $0.send(batch) }
                #expect(answer == .accepted(rejected: []))
            }
            _ = try await server.ask("/internal/force_flush")
            let export = try await server.ask("/api/v1/export?match%5B%5D=meterd_voltage_l1")
            #expect(export.contains(#""device":"main","gateway":"gw-017","role":"grid","site":"park-2/factory-12""#), "\(export)")
            #expect(export.contains("\(start + 49)"), "\(export.suffix(200))")
        }
    }
}

extension RealServer {
    /// - Parameter http: lines for its section about HTTP.
    static func influxDB1(_ http: String, _ body: (RealServer) async throws -> Void) async throws {
        try await run(try #require(path("influxd")), ready: nil) { port, folder in
            let configuration = """
                reporting-disabled = true
                bind-address = "127.0.0.1:\(freePort())"
                [meta]
                dir = "\(folder)/meta"
                [data]
                dir = "\(folder)/data"
                wal-dir = "\(folder)/wal"
                [http]
                bind-address = "127.0.0.1:\(port)"
                \(http)
                """
            try TextFile.write(configuration, to: folder + "/influxdb.conf")
            return ["-config", folder + "/influxdb.conf"]
        } _: {
            try await body($0)
        }
    }

    static func victoriaMetrics(_ options: [String] = [], _ body: (RealServer) async throws -> Void) async throws {
        try await run(try #require(path("victoria-metrics")), ready: nil) { port, folder in
            ["-storageDataPath=\(folder)/data", "-httpListenAddr=127.0.0.1:\(port)", "-retentionPeriod=100y"] + options
        } _: {
            try await body($0)
        }
    }
}
