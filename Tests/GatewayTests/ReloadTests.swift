import Gateway
import Glibc
import Host
import Metering
import Store
import TestSupport
import Testing

/// What a new configuration means for what runs.
@Suite struct ReloadPlanTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("plan") }

    private static let plant = """
        [gateway]
        id = "gw"
        data_directory = "/var/lib/meterd"
        profile_path = ["\(Products.repository)/profiles"]
        [[bus]]
        name = "line"
        url = "serial:///dev/ttyUSB0"
        [[bus]]
        name = "roof"
        url = "tcp://192.0.2.1"
        [[device]]
        name = "main"
        bus = "line"
        unit = 1
        profile = "eastron-sdm630"
        role = "grid"
        [[device]]
        name = "hall"
        bus = "line"
        unit = 2
        profile = "eastron-sdm630"
        role = "load"
        [[output]]
        name = "park"
        type = "http"
        url = "http://192.0.2.9/park"
        [[output]]
        name = "cloud"
        type = "http"
        url = "http://192.0.2.9/cloud"
        """

    private func configuration(_ text: String) throws -> Configuration {
        try TextFile.write(text, to: folder + "/meterd.toml")
        return try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
    }

    private func plan(_ old: String, _ new: String) throws -> ReloadPlan {
        ReloadPlan(from: try configuration(old), to: try configuration(new))
    }

    @Test func theSameFileTouchesNothing() throws {
        let plan = try plan(Self.plant, "# a comment\n" + Self.plant)
        #expect(plan.buses.keep == ["line", "roof"] && plan.buses.stop.isEmpty && plan.buses.start.isEmpty)
        #expect(plan.outputs.keep == ["park", "cloud"] && plan.outputs.stop.isEmpty && plan.outputs.start.isEmpty)
        #expect(plan.refusals.isEmpty)
    }

    @Test func aChangedDeviceChangesItsBusAndNoOther() throws {
        for change in [("unit = 2", "unit = 3"), ("role = \"load\"", "role = \"load\"\nlive = \"2s\""), ("\"hall\"", "\"press\"")] {
            let plan = try plan(Self.plant, Self.plant.replacing(change.0, with: change.1))
            #expect(plan.buses.keep == ["roof"] && plan.buses.stop == ["line"] && plan.buses.start == ["line"])
            #expect(plan.outputs.keep == ["park", "cloud"])
        }
    }

    @Test func partsComeAndGoByName() throws {
        let without = Self.plant.replacing("[[bus]]\nname = \"roof\"\nurl = \"tcp://192.0.2.1\"\n", with: "")
            .replacing("\"cloud\"", with: "\"lake\"")
        let plan = try plan(Self.plant, without)
        #expect(plan.buses.keep == ["line"] && plan.buses.stop == ["roof"] && plan.buses.start.isEmpty)
        #expect(plan.outputs.keep == ["park"] && plan.outputs.stop == ["cloud"] && plan.outputs.start == ["lake"])
        let back = try self.plan(without, Self.plant)
        #expect(back.buses.start == ["roof"] && back.outputs.start == ["cloud"] && back.outputs.stop == ["lake"])
    }

    @Test func theOrderInTheFileMeansNothing() throws {
        let (first, second) = ("name = \"main\"\nbus = \"line\"\nunit = 1", "name = \"hall\"\nbus = \"line\"\nunit = 2")
        let swapped = Self.plant.replacing(first, with: "@").replacing(second, with: first).replacing("@", with: second)
            .replacing("role = \"grid\"", with: "role = @").replacing("role = \"load\"", with: "role = \"grid\"")
            .replacing("role = @", with: "role = \"load\"")
        let plan = try plan(Self.plant, swapped)
        #expect(plan.buses.keep == ["line", "roof"] && plan.buses.start.isEmpty)
    }

    @Test func anotherNameForTheGatewayChangesEveryOutput() throws {
        let plan = try plan(Self.plant, Self.plant.replacing("id = \"gw\"", with: "id = \"gw-2\""))
        #expect(plan.outputs.start == ["park", "cloud"] && plan.buses.keep == ["line", "roof"])
    }

    @Test func whatNeedsARestartIsRefusedByName() throws {
        let plan = try plan(
            Self.plant, Self.plant.replacing("/var/lib/meterd", with: "/srv/meterd") + "\n[api]\nsocket = \"/run/other.sock\"\n")
        #expect(plan.refusals.count == 2)
        #expect(plan.refusals.first?.hasPrefix("gateway.data_directory: cannot change from /var/lib/meterd to /srv/meterd") == true)
        #expect(plan.refusals.last?.contains("restart it") == true)
    }
}

@Suite struct CrewTests {
    @Test func aPartBeginsWhenTheOneBeforeItInItsPlaceHasEnded() async {
        let crew = Crew()
        let (events, told) = AsyncStream.makeStream(of: String.self)
        let (gate, opens) = AsyncStream.makeStream(of: Void.self)
        crew.start("old", places: ["port"]) {
            told.yield("old begins")
            // A visit in flight: it does not heed the cancellation.
            await Task { for await _ in gate { break } }.value
            told.yield("old ends")
        }
        var iterator = events.makeAsyncIterator()
        #expect(await iterator.next() == "old begins")
        crew.stop("old")
        crew.start("new", places: ["port", "name"]) { told.yield("new begins") }
        crew.start("other", places: ["elsewhere"]) { told.yield("other begins") }
        #expect(await iterator.next() == "other begins")
        opens.yield()
        #expect(await iterator.next() == "old ends")
        #expect(await iterator.next() == "new begins")
        await crew.ended()
        crew.stopAll()
        crew.start("late", places: []) { told.yield("late begins") }
        await crew.ended()
        told.finish()
        #expect(await iterator.next() == nil)
    }
}

/// An output that comes, goes and comes back while the store is open.
@Suite struct OutputsThatComeAndGoTests {
    @Test func anOutputKeepsItsPlaceWhileItIsAwayAndHoldsNothingBack() async throws {
        let folder = try TemporaryFolder.make("outputs")
        defer { TemporaryFolder.remove(folder) }
        let time = SystemTime()
        let store = try await Store.open(directory: folder, outputs: ["park"], time: time, logger: quietLogger)
        let entry = CatalogEntry(device: "d", unit: 1, role: .load, profile: "p", profileText: "", invert: false)
        let id = try await store.adopt(entry)
        func commit(_ count: Int) async throws {
            let polls = (0..<count).map { _ in
                CountedPoll(poll: Poll(entry: id, time: time.wall(), uptime: time.uptime(), clock: .unknown, answers: []), readings: 1)
            }
            _ = try await store.commit(polls)
        }
        try await commit(10)
        try await store.prepare(output: "extra")
        _ = try await store.offer(output: "extra", records: 4, age: .zero)
        try await store.settle(output: "extra", through: 4, accepted: 3, rejected: [Rejection(seq: 2, reason: "no")])
        await store.retire(output: "extra")
        #expect(await store.outputStates().map(\.name) == ["park"])
        try await commit(5)
        // Dropped with that commit, and read back from the file.
        try await store.prepare(output: "extra")
        let back = try #require(await store.outputStates().last)
        #expect(back.name == "extra" && back.cursor == 4 && back.acceptedPolls == 3 && back.rejectedPolls == 1 && back.deadLetters == 1)
        #expect(back.backlogPolls == 11)
        await store.close()
    }

    @Test func eachOutputThatOneReloadAddsIsMadeReady() async throws {
        let folder = try TemporaryFolder.make("added")
        defer { TemporaryFolder.remove(folder) }
        let store = try await Store.open(directory: folder, outputs: ["park"], time: SystemTime(), logger: quietLogger)
        let outbox = PreparedOutbox(store: store)
        for name in ["first", "second", "third"] {
            #expect(try await outbox.offer(output: name, SliceRequest(records: 10, age: .zero)) == .empty)
        }
        #expect(await store.outputStates().map(\.name) == ["park", "first", "second", "third"])
        await store.close()
    }
}
