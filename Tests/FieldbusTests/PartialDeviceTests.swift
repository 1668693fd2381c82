import Host
import Metering
import TestSupport
import Testing

@testable import Fieldbus

/// Devices that give some of their registers and not others: what they give must come, and keep coming.
@Suite struct PartialDeviceTests {
    private static func reply(_ block: Block, unless isSilent: Bool, _ fault: ReadFault = .timeout) -> BlockAnswer.Outcome {
        isSilent ? .fault(fault) : ScriptedBus.zeros(block)
    }

    /// A serial number among the holding registers, of a device that knows no function 3.
    @Test func unansweredIdentityCostsNoLivePoint() async throws {
        let map = profile([point(.holding, 64_512, 2, .once), point(.input, 0, 2), point(.input, 40, 2, .slow)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map, slow: true)], polls: 2000) { block, _, _ in
            Self.reply(block, unless: block.table == .holding)
        }
        #expect(result.status.devices[0].state == .online)
        #expect(result.polls.allSatisfy { $0.words(of: .input) > 0 })
        #expect(result.reader.visits[0].blocks.map(\.table).last == .holding)
        // Asked with one and two minutes between, then ever more rarely.
        let asked = result.reader.visits.filter { $0.blocks.contains { $0.table == .holding } }
        #expect((3...9).contains(asked.count))
        #expect(asked.allSatisfy { $0.blocks.count > 1 })
        // Its points say so when they are asked for, not in every poll.
        #expect(result.polls.filter { $0.answers.contains { $0.block.table == .holding } }.count == asked.count)
    }

    @Test func unansweredSlowBlockFaultsWhenItIsDueAndIsReadAgainWhenTheDeviceGivesIt() async throws {
        let time = ManualTime()
        let mended = time.uptime() + .seconds(1200)
        let map = profile([point(.holding, 0, 2, .slow), point(.input, 0, 2), point(.input, 40, 2, .slow)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map, slow: true)], polls: 2400, time: time) { block, _, now in
            Self.reply(block, unless: block.table == .holding && now < mended)
        }
        let slow = result.polls.filter { $0.uptime < mended && $0.answers.contains { $0.block == Block(.input, 40, count: 2) } }
        #expect((18...23).contains(slow.count))
        #expect(slow.allSatisfy { $0.answers.contains { $0.block.table == .holding && $0.outcome == .fault(.timeout) } })
        let after = result.polls.filter { $0.uptime > mended + Aside.lastRetry + .seconds(2) && $0.words(of: .holding) > 0 }
        #expect(after.count >= 9)
    }

    /// Live and slow registers share a request that the device never answers, although it answers the live ones alone.
    @Test func requestThatClassesShareIsDividedByClassWhenItGoesUnanswered() async throws {
        let map = profile([point(0, 2), point(2, 2, .slow), point(.input, 0, 2)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map, slow: true)], polls: 600) { block, _, _ in
            Self.reply(block, unless: block.table == .holding && block.range.contains(3))
        }
        #expect(result.status.devices[0].state == .online)
        #expect(result.polls.suffix(300).allSatisfy { $0.words(of: .holding) > 0 && $0.words(of: .input) > 0 })
    }

    @Test func unansweredLiveBlockCostsTheOthersNothing() async throws {
        let map = profile([point(.holding, 0, 1), point(.holding, 900, 1), point(.input, 0, 2)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 300) { block, _, _ in
            Self.reply(block, unless: block.table == .holding)
        }
        #expect(result.status.devices[0].state == .online)
        #expect(result.polls.suffix(200).allSatisfy { $0.words(of: .input) > 0 })
        // They are due in each poll, and are faults in each.
        let faults = result.polls.suffix(200).map { $0.answers.filter { $0.outcome == .fault(.timeout) }.count }
        #expect(faults.allSatisfy { $0 == 2 })
    }

    /// One request in five is lost.
    @Test func noisyLineLosesNoMoreThanWhatIsLostOnIt() async throws {
        let map = profile([point(.holding, 0, 2), point(.input, 0, 2)])
        let random = Lock(SeededGenerator(seed: 5))
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 3000) { block, _, _ in
            Self.reply(block, unless: random.withLock { Int.random(in: 0..<5, using: &$0) } == 0)
        }
        let got = result.polls.filter { $0.words(of: .holding) > 0 }.count
        #expect(Double(got) > 0.6 * Double(result.polls.count))
    }

    /// Some devices refuse everything while they boot.
    @Test func deviceThatRefusesWhileItBootsIsReadInFullAfterwards() async throws {
        let time = ManualTime()
        let booted = time.uptime() + .seconds(60)
        let map = profile([point(0, 2), point(300, 2), point(600, 2, .once)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map, slow: true)], polls: 200, time: time) { block, _, now in
            Self.reply(block, unless: now < booted, .exception(2))
        }
        let before = result.polls.filter { $0.uptime < booted }
        // Refused altogether it is offline, and probed.
        #expect(before.count < 30)
        #expect(before.allSatisfy { $0.failed && !$0.answers.isEmpty })
        #expect(result.status.devices[0].state == .online)
        #expect(result.status.devices[0].refusedPoints.isEmpty)
        #expect(result.polls.contains { $0.words(of: .holding) == 6 })
        #expect(result.polls.last.map { $0.words(of: .holding) } == 4)
    }

    @Test func refusedRegisterIsAskedForAgainEveryTenMinutesAndComesBack() async throws {
        let time = ManualTime()
        let start = time.uptime()
        let given = start + .seconds(1500)
        let map = profile((0..<6).map { point($0 * 2, 2) })
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 2000, time: time) { block, _, now in
            Self.reply(block, unless: block.range.contains(4) && now < given, .exception(2))
        }
        let alone = Block(.holding, 4, count: 2)
        let asked = result.polls.filter { $0.uptime > start + .seconds(30) && $0.uptime < given }
        let retries = result.reader.visits.filter { $0.blocks.last == alone }
        #expect((3...6).contains(retries.count))
        // Meanwhile no other point is lost, and this one is refused in each poll.
        #expect(asked.allSatisfy { $0.words(of: .holding) == 10 && $0.answers.last?.outcome == .fault(.exception(2)) })
        #expect(result.polls.last.map { $0.words(of: .holding) } == 12)
        #expect(result.status.devices[0].refusedPoints.isEmpty)
    }

    @Test func refusedPointsAreNamed() async throws {
        let map = profile((0..<6).map { point($0 * 2, 2) })
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 20) { block, _, _ in
            Self.reply(block, unless: block.range.contains(4), .exception(2))
        }
        #expect(result.status.devices[0].refusedPoints == ["x_test_4"])
    }

    @Test func identityThatABusyDeviceRefusedIsAskedForAgain() async throws {
        let time = ManualTime()
        let ready = time.uptime() + .seconds(90)
        let map = profile([point(.input, 0, 2), point(.holding, 0, 2, .once)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map, slow: true)], polls: 300, time: time) { block, _, now in
            Self.reply(block, unless: block.table == .holding && now < ready, .exception(6))
        }
        #expect(result.polls.filter { $0.words(of: .holding) > 0 }.count == 1)
        #expect(result.reader.visits.filter { $0.blocks.contains { $0.table == .holding } }.count == 3)
    }

    /// Exception 1 says that the function is not known: asking again cannot help.
    @Test(arguments: [UInt8(1), 2]) func identityThatIsRefusedForGoodIsNotAskedForEveryMinute(code: UInt8) async throws {
        let map = profile([point(.input, 0, 2), point(.holding, 0, 2, .once)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map, slow: true)], polls: 500) { block, _, _ in
            Self.reply(block, unless: block.table == .holding, .exception(code))
        }
        #expect(result.reader.visits.filter { $0.blocks.contains { $0.table == .holding } }.count == 1)
    }
}

extension Poll {
    /// How many words of a table came.
    fileprivate func words(of table: RegisterTable) -> Int {
        answers.reduce(0) { sum, answer in
            guard answer.block.table == table, case .words(let words) = answer.outcome else { return sum }
            return sum + words.count
        }
    }
}
