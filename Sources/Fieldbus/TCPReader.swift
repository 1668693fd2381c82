import CModbus
import Glibc
import Host
import Metering

/// Reads the devices behind one Modbus TCP endpoint over one connection, on a thread of its own. It cannot write.
///
/// libmodbus takes a frame off the stream; request and check are ours, since libmodbus looks neither at the unit nor at the length of a
/// reply, and leaves the transaction id of raw requests at zero. After a timeout or a reply that is none the connection is closed, so
/// nothing late can reach the next request.
///
/// - Source: Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 for the header.
package actor TCPReader: RegisterReader, FaultExplaining, OnThread, ResponseMeasuring, DelayKeeping {
    /// Replies to earlier requests that one request may step over.
    static let staleReplyLimit = 8

    package nonisolated let thread: ThreadExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    private let host: String
    private let port: UInt16
    private let timeout: Duration
    private let resolver: NameResolver
    private let time: any TimeSource
    private let context: ModbusContext?
    private var transaction: UInt16 = 0
    nonisolated let timeouts: Lock<ResponseTimeouts>
    private var requests = 0
    private var connectDelay = Duration.zero
    private var failedConnect: BusError?
    /// A peer that has closed is looked for once a visit: within one, a request that is lost shows it, and is asked again.
    private var looksForClosing = true
    /// The device may be asked from then on.
    private var quietUntil = Uptime(nanoseconds: 0)
    private nonisolated let error = Lock<BusError?>(nil)

    /// - Parameters:
    ///   - name: names the thread.
    ///   - timeout: for connecting, and the ceiling for an answer.
    package init(
        name: String, host: String, port: UInt16, timeout: Duration, resolver: NameResolver = .shared, time: any TimeSource
    ) {
        thread = ThreadExecutor(name: name)
        self.host = host
        self.port = port
        self.timeout = timeout
        self.resolver = resolver
        self.time = time
        context = ModbusContext.tcp()
        timeouts = Lock(ResponseTimeouts(ceiling: timeout))
    }

    deinit { thread.stop() }

    package nonisolated var lastError: BusError? { error.withLock { $0 } }

    package func read(_ blocks: [Block], unit: UInt8) async -> Visit {
        var failure: BusError?
        let before = requests
        looksForClosing = true
        var visit = Visit(asking: blocks, time: time) { block in
            let request = ReadRequest(unit: unit, block: block)
            // What a device would say, without troubling it.
            guard request.isLegal else { return .fault(.exception(2)) }
            do throws(BusError) { return try ask(request) } catch {
                failure = error
                return .fault(error.fault)
            }
        }
        visit.requests = requests - before
        error.withLock { $0 = failure }
        return visit
    }

    package func close() async { context?.close() }

    package func keep(connectDelay: Duration) async { self.connectDelay = connectDelay }

    package func connect() async -> Uptime? {
        guard connectDelay > .zero, let context else { return nil }
        do throws(BusError) { _ = try connect(context) } catch {
            // A connection refused once is not asked for twice in a visit.
            failedConnect = error
            return nil
        }
        return quietUntil
    }

    private var subject: String { "\(host):\(port)" }

    private func ask(_ request: ReadRequest) throws(BusError) -> BlockAnswer.Outcome {
        guard let context else { throw BusError(.portFailed, "\(subject): out of memory") }
        // A peer may have closed an idle connection. If it did so while the request was under way, asking again does no harm.
        if let error = failedConnect {
            failedConnect = nil
            throw error
        }
        let reused = try connect(context)
        guard connectDelay == .zero || time.uptime() >= quietUntil else {
            throw BusError(.settling, "\(subject): connected; the device wants silence before it is asked")
        }
        do throws(BusError) { return try exchange(request, context) } catch {
            context.close()
            guard reused, error.code == .connectionLost, connectDelay == .zero else { throw error }
        }
        _ = try connect(context)
        do throws(BusError) { return try exchange(request, context) } catch {
            context.close()
            throw error
        }
    }

    /// True when the connection stood already.
    private func connect(_ context: ModbusContext) throws(BusError) -> Bool {
        if context.descriptor >= 0 {
            guard looksForClosing else { return true }
            looksForClosing = false
            guard context.peerHasClosed else { return true }
            context.close()
        }
        context.use(socket: try Connection.open(host: host, port: port, timeout: timeout, resolver: resolver))
        quietUntil = time.uptime() + connectDelay
        return false
    }

    private func exchange(_ request: ReadRequest, _ context: ModbusContext) throws(BusError) -> BlockAnswer.Outcome {
        transaction &+= 1
        requests += 1
        let start = time.uptime()
        try send(request, to: context.descriptor)
        let deadline = start + timeouts.withLock { $0.value(unit: request.unit) }
        for _ in 0...TCPReader.staleReplyLimit {
            let left = deadline - time.uptime()
            guard left > .zero else { break }
            switch context.receive(timeout: left) {
            case .frame(let frame):
                guard let outcome = try check(frame, request) else { continue }
                timeouts.withLock { $0.answered(unit: request.unit, after: time.uptime() - start) }
                return outcome
            case .otherUnit:
                throw BusError(.garbled, "\(subject): an empty frame")
            case .failure(ETIMEDOUT):
                timeouts.withLock { $0.missed(unit: request.unit) }
                throw BusError(.timeout, "\(subject): unit \(request.unit) did not answer in time", cause: ETIMEDOUT)
            case .failure(let number) where number >= MODBUS_ENOBASE:
                throw BusError(.garbled, "\(subject): \(String(cString: modbus_strerror(number)))", cause: number)
            case .failure(let number):
                throw BusError.system(number, on: subject)
            }
        }
        timeouts.withLock { $0.missed(unit: request.unit) }
        throw BusError(.timeout, "\(subject): unit \(request.unit) sent only answers to earlier requests")
    }

    /// The request with its header. A stream whose send buffer has no room for twelve bytes is dead.
    private func send(_ request: ReadRequest, to descriptor: Int32) throws(BusError) {
        let frame = [UInt8(transaction >> 8), UInt8(transaction & 0xFF), 0, 0, 0, 6] + request.bytes
        while true {
            let sent = Glibc.send(descriptor, frame, frame.count, Int32(MSG_NOSIGNAL))
            if sent == frame.count { return }
            if sent < 0, errno == EINTR { continue }
            throw BusError.system(sent < 0 && errno != EAGAIN ? errno : ECONNRESET, on: subject)
        }
    }

    /// The outcome, nil for a reply to an earlier request, or what is wrong with the frame.
    private func check(_ frame: UnsafeBufferPointer<UInt8>, _ request: ReadRequest) throws(BusError) -> BlockAnswer.Outcome? {
        func word(_ index: Int) -> Int { Int(frame[index]) << 8 | Int(frame[index + 1]) }
        func garbled(_ what: String) -> BusError { BusError(.garbled, "\(subject): unit \(request.unit): \(what)") }
        guard frame.count >= 9 else { throw garbled("reply of \(frame.count) bytes") }
        guard word(2) == 0 else { throw garbled("protocol id \(word(2)) instead of 0") }
        guard word(4) == frame.count - 6 else { throw garbled("header says \(word(4)) bytes, \(frame.count - 6) came") }
        guard let reply = Reply(pdu: UnsafeBufferPointer(rebasing: frame[7...])) else { throw garbled("reply of the wrong length") }
        if word(0) != Int(transaction) {
            // Half the circle back is earlier, half ahead was never sent.
            guard transaction &- UInt16(word(0)) < 0x8000 else { throw garbled("transaction id \(word(0)) instead of \(transaction)") }
            return nil
        }
        guard frame[6] == request.unit else { throw garbled("reply of unit \(frame[6])") }
        switch reply {
        case .exception(request.shape.function, let code): return .fault(.exception(code))
        case .data(request.shape, let data): return .words(request.words(from: data))
        case .exception(let function, _): throw garbled("exception to function \(function)")
        case .data(let shape, _): throw garbled("function \(shape.function) with \(shape.dataBytes) bytes")
        }
    }
}
