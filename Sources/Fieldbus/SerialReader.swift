import CModbus
import Glibc
import Host
import Metering

/// Reads the devices of one RTU line, a tty or the line behind a transparent serial server, on a thread of its own. It cannot write.
///
/// Line set-up, checksum and framing are libmodbus'. Ours are the silence between frames, the check of every reply, and `LateReplies`:
/// the reply to a request that was given up is never taken for the answer to another.
package actor SerialReader: RegisterReader, FaultExplaining, OnThread, ResponseMeasuring, PauseKeeping, DelayKeeping {
    /// Reads that one request may need before it until nothing old is left.
    static let synchronisingLimit = 4
    /// Replies of other units or requests that one request may step over.
    static let strayReplyLimit = 16
    /// How long the line must be silent after an error. USB adapters pass bytes on every 16 ms.
    static let quietAfterError = Duration.milliseconds(20)

    private enum Port: Sendable {
        case tty(path: String)
        case server(host: String, port: UInt16)
    }

    package nonisolated let thread: ThreadExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    private let port: Port
    private let line: SerialFormat
    private let timeout: Duration
    private let time: any TimeSource
    private var context: ModbusContext?
    nonisolated let timeouts: Lock<ResponseTimeouts>
    private var late: [UInt8: LateReplies] = [:]
    /// The longest block that each unit answered with words: where a synchronising read finds registers that may be read.
    private var longest: [UInt8: Block] = [:]
    /// What each unit wants between its answer and the next request.
    private var pauses: [UInt8: Duration] = [:]
    private var lineFree = Uptime(nanoseconds: 0)
    private let resolver: NameResolver
    /// The silence that devices behind a serial server want after the connection is made.
    private var connectDelay = Duration.zero
    private var quietUntil = Uptime(nanoseconds: 0)
    private var failedConnect: BusError?
    private var requests = 0
    private var signalBlocked = false
    private nonisolated let error = Lock<BusError?>(nil)
    private nonisolated let strays = Lock<Int>(0)

    /// A tty or pty.
    package init(name: String, path: String, line: SerialFormat, timeout: Duration, time: any TimeSource) {
        self.init(
            name: name, port: .tty(path: path), line: line, timeout: timeout, lateLimit: SerialReader.lateLimit(timeout), time: time)
    }

    /// The same with a limit of its own for late replies.
    init(name: String, path: String, line: SerialFormat, timeout: Duration, lateLimit: Duration, time: any TimeSource) {
        self.init(name: name, port: .tty(path: path), line: line, timeout: timeout, lateLimit: lateLimit, time: time)
    }

    private static func lateLimit(_ timeout: Duration) -> Duration { min(max(timeout * 10, .seconds(5)), .seconds(60)) }

    /// A serial server that passes RTU frames through a TCP stream.
    /// - Parameter line: what is known of the line behind it.
    package init(
        name: String, host: String, port: UInt16, line: SerialFormat = SerialFormat(), timeout: Duration,
        resolver: NameResolver = .shared, time: any TimeSource
    ) {
        self.init(
            name: name, port: .server(host: host, port: port), line: line, timeout: timeout, lateLimit: SerialReader.lateLimit(timeout),
            resolver: resolver, time: time)
    }

    private init(
        name: String, port: Port, line: SerialFormat, timeout: Duration, lateLimit: Duration, resolver: NameResolver = .shared,
        time: any TimeSource
    ) {
        self.resolver = resolver
        thread = ThreadExecutor(name: name)
        self.port = port
        self.line = line
        self.timeout = timeout
        self.lateLimit = lateLimit
        self.time = time
        timeouts = Lock(ResponseTimeouts(ceiling: timeout))
    }

    deinit { thread.stop() }

    package nonisolated var lastError: BusError? { error.withLock { $0 } }
    /// Bytes and frames that answered nothing and were thrown away.
    package nonisolated var strayCount: Int { strays.withLock { $0 } }

    package func read(_ blocks: [Block], unit: UInt8) async -> Visit {
        var failure: BusError?
        let before = requests
        var visit = Visit(asking: blocks, time: time) { block in
            let request = ReadRequest(unit: unit, block: block)
            // What a device would say, without troubling it.
            guard request.isLegal else { return .fault(.exception(2)) }
            do throws(BusError) { return try answer(to: request) } catch {
                failure = error
                return .fault(error.fault)
            }
        }
        visit.requests = requests - before
        error.withLock { $0 = failure }
        return visit
    }

    package func close() async { context?.close() }

    package func keep(connectDelay: Duration) async {
        // A port is opened; nothing is connected.
        if case .server = port { self.connectDelay = connectDelay }
    }

    package func connect() async -> Uptime? {
        guard connectDelay > .zero else { return nil }
        do throws(BusError) { _ = try openedContext() } catch {
            // A connection refused once is not asked for twice in a visit.
            failedConnect = error
            return nil
        }
        return quietUntil
    }

    package func keep(pause: Duration, unit: UInt8) async { pauses[unit] = pause }

    /// Where no other request can show it, a reply is not believed to come later than this after its request.
    private let lateLimit: Duration

    private var subject: String {
        switch port {
        case .tty(let path): path
        case .server(let host, let port): "\(host):\(port)"
        }
    }

    // MARK: - One request

    private func answer(to request: ReadRequest) throws(BusError) -> BlockAnswer.Outcome {
        if let error = failedConnect {
            failedConnect = nil
            throw error
        }
        let context = try openedContext()
        guard connectDelay == .zero || time.uptime() >= quietUntil else {
            throw BusError(.settling, "\(subject): connected; the device wants silence before it is asked")
        }
        guard context.expect(unit: request.unit) else {
            throw BusError(.badUnit, "\(subject): unit \(request.unit) is beyond 247, the last one of a line")
        }
        for _ in 0..<SerialReader.synchronisingLimit {
            var other = synchronisingRequest(for: request)
            if other == nil || late[request.unit]?.isFull == true {
                // No length is left to show that everything older has passed; age does, and short of that a length that is out already:
                // a reply to it counts for the oldest of its kind, so it may take two answers until the device is read again.
                late[request.unit]?.forget(sentBefore: time.uptime().advanced(by: .zero - lateLimit))
                other = synchronisingRequest(for: request) ?? synchronisingRequest(for: request, reusing: true)
            }
            guard let replies = late[request.unit], replies.couldBeMistaken(for: request.shape) || replies.isFull else {
                let outcome = try exchange(request, context)
                if case .words = outcome, (longest[request.unit]?.count ?? 0) < request.block.count {
                    longest[request.unit] = request.block
                }
                return outcome
            }
            guard !replies.isFull, let other else { break }
            _ = try exchange(other, context)
            if let wanted = pauses[request.unit] { pause(until: time.uptime() + wanted, atMost: wanted) }
        }
        throw BusError(.ambiguous, "\(subject): unit \(request.unit) may still answer an earlier request; it is left alone meanwhile")
    }

    /// A read whose answer can be taken neither for the wanted one nor for any that is still out, so that one answer clears everything
    /// older: the first registers of the wanted block, or of the longest block known, as many as no request that is out has. Nil when
    /// all lengths are out: registers that no plan asked for are not touched.
    /// - Parameter reusing: lengths that are out, too.
    private func synchronisingRequest(for request: ReadRequest, reusing: Bool = false) -> ReadRequest? {
        for block in [request.block, longest[request.unit]].compactMap({ $0 }) {
            for count in stride(from: 1, through: Int(block.count), by: block.table.isBits ? 8 : 1) {
                let other = ReadRequest(unit: request.unit, block: Block(block.table, block.address, count: UInt16(count)))
                guard other.shape != request.shape else { continue }
                if reusing || late[request.unit]?.couldBeMistaken(for: other.shape) != true { return other }
            }
        }
        return nil
    }

    private func exchange(_ request: ReadRequest, _ context: ModbusContext) throws(BusError) -> BlockAnswer.Outcome {
        discard(context.drain(time: time))
        pause(until: lineFree)
        let start = time.uptime()
        requests += 1
        late[request.unit, default: LateReplies()].enter(request.shape, at: start)
        let failure = context.send(request)
        guard failure == 0 else { throw lost(failure, context) }
        let wire = line.time(characters: 8 + 5 + request.shape.dataBytes)
        let deadline = start + wire + timeouts.withLock { $0.value(unit: request.unit) }
        defer { lineFree = time.uptime() + line.frameGap }
        for _ in 0...SerialReader.strayReplyLimit {
            let left = deadline - time.uptime()
            guard left > .zero else { break }
            switch context.receive(timeout: left) {
            case .frame(let frame):
                guard let outcome = try check(frame, request, context) else { continue }
                timeouts.withLock { $0.answered(unit: request.unit, after: time.uptime() - start - wire) }
                return outcome
            case .otherUnit:
                discard(1)
            case .failure(ETIMEDOUT):
                throw missed(request, context)
            case .failure(let number) where number >= MODBUS_ENOBASE:
                throw garbled(String(cString: modbus_strerror(number)), request, context)
            case .failure(let number):
                throw lost(number, context)
            }
        }
        throw missed(request, context)
    }

    /// The outcome; nil for a reply to something else, which is stepped over.
    private func check(_ frame: UnsafeBufferPointer<UInt8>, _ request: ReadRequest, _ context: ModbusContext) throws(BusError)
        -> BlockAnswer.Outcome?
    {
        guard frame.count >= 5, let reply = Reply(pdu: UnsafeBufferPointer(rebasing: frame[1..<frame.count - 2])) else {
            throw garbled("reply of \(frame.count) bytes", request, context)
        }
        guard frame[0] == request.unit else {
            discard(1)
            return nil
        }
        let verdict: LateReplies.Verdict
        var outcome: BlockAnswer.Outcome?
        switch reply {
        case .exception(let function, let code):
            verdict = late[request.unit, default: LateReplies()].exception(function: function)
            outcome = .fault(.exception(code))
        case .data(let shape, let data):
            verdict = late[request.unit, default: LateReplies()].reply(of: shape)
            // Only the request's own shape can be an answer, and only then do the words fit.
            if shape == request.shape { outcome = .words(request.words(from: data)) }
        }
        switch verdict {
        case .answer:
            return outcome
        case .late(let sent):
            discard(1)
            timeouts.withLock { $0.answeredLate(unit: request.unit, after: time.uptime() - sent) }
            return nil
        case .unknown:
            throw garbled("a reply of a function or length that was not asked for", request, context)
        }
    }

    // MARK: - Faults

    private func missed(_ request: ReadRequest, _ context: ModbusContext) -> BusError {
        timeouts.withLock { $0.missed(unit: request.unit) }
        let rest = context.drain(time: time)
        if rest > 0 { discard(rest + context.drain(quiet: SerialReader.quietAfterError, time: time)) }
        return BusError(.timeout, "\(subject): unit \(request.unit) did not answer in time", cause: ETIMEDOUT)
    }

    private func garbled(_ what: String, _ request: ReadRequest, _ context: ModbusContext) -> BusError {
        discard(context.drain(quiet: max(SerialReader.quietAfterError, line.frameGap), time: time))
        return BusError(.garbled, "\(subject): unit \(request.unit): \(what)")
    }

    private func lost(_ number: Int32, _ context: ModbusContext) -> BusError {
        context.close()
        return BusError.system(number, on: subject)
    }

    private func discard(_ count: Int) {
        if count > 0 { strays.withLock { $0 += count } }
    }

    // MARK: - The port

    private func openedContext() throws(BusError) -> ModbusContext {
        if let context, context.descriptor >= 0 {
            guard case .server = port, context.peerHasClosed else { return context }
            context.close()
        }
        blockBrokenPipeSignal()
        switch port {
        case .tty(let path):
            try checkFormat()
            guard let context = context ?? ModbusContext.rtu(path: path, line: line) else {
                throw BusError(.badLineFormat, "\(path): libmodbus refuses this path or format", cause: errno)
            }
            self.context = context
            let failure = context.open()
            guard failure == 0 else { throw BusError.system(failure, on: path) }
            try context.claim(path: path)
            try context.turn(by: line.direction, path: path)
            return context
        case .server(let host, let port):
            guard let context = context ?? ModbusContext.rtu(path: "socket", line: SerialFormat()) else {
                throw BusError(.portFailed, "\(subject): out of memory", cause: errno)
            }
            self.context = context
            context.use(socket: try Connection.open(host: host, port: port, timeout: timeout, resolver: resolver))
            quietUntil = time.uptime() + connectDelay
            return context
        }
    }

    /// libmodbus takes 9600 for a rate it does not know, without a word.
    private func checkFormat() throws(BusError) {
        let rates = [
            110, 300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000,
            1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
        ]
        guard rates.contains(line.baud) else {
            throw BusError(.badLineFormat, "\(subject): no serial port has \(line.baud) baud; use 9600 or what the meters are set to")
        }
        guard (5...8).contains(line.dataBits), (1...2).contains(line.stopBits) else {
            throw BusError(.badLineFormat, "\(subject): \(line.dataBits) data and \(line.stopBits) stop bits; use 8 and 1")
        }
    }

    /// libmodbus writes to sockets of the RTU kind with write(2), which raises SIGPIPE in this thread when the peer has gone.
    private func blockBrokenPipeSignal() {
        guard !signalBlocked else { return }
        signalBlocked = true
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// Holds the line's own thread until `moment`: a few milliseconds, or what a device wants.
    private func pause(until moment: Uptime, atMost limit: Duration = .milliseconds(100)) {
        let left = (moment - time.uptime()).nanoseconds
        guard left > 0 else { return }
        let nanoseconds = Int(min(left, limit.nanoseconds))
        var request = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
        var rest = timespec()
        while nanosleep(&request, &rest) != 0, errno == EINTR { request = rest }
    }
}
