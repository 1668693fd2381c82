import Gateway
import Host
import Logging
import NIOEmbedded
import Testing

@Suite struct RefusalLogTests {
    @Test func whoGuessesATokenIsToldAtOnceAndThenCounted() {
        let lines = Lock<[String]>([])
        let log = RefusalLog(logger: Logger(label: "test") { _ in LogKeeper(lines: lines) })
        let loop = EmbeddedEventLoop()
        func told() -> [String] {
            lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }

        for _ in 0..<200 { log.note(caller: "192.0.2.7", on: loop) }
        let first = told()
        #expect(first.count == 1 && first[0].hasPrefix("warning ") && first[0].contains("192.0.2.7"), "\(first)")
        loop.advanceTime(by: RefusalLog.interval)
        let second = told()
        #expect(second.count == 1 && second[0].filter(\.isNumber) == "199", "\(second)")
        log.note(caller: "192.0.2.7", on: loop)
        #expect(told().isEmpty, "it goes on, and is counted")
        loop.advanceTime(by: RefusalLog.interval)
        let third = told()
        #expect(third.count == 1 && third[0].filter(\.isNumber) == "1", "\(third)")
        // An interval without one: the next is told at once again.
        loop.advanceTime(by: RefusalLog.interval)
        #expect(told().isEmpty)
        log.note(caller: "192.0.2.8", on: loop)
        #expect(told().count == 1)
    }
}
