import Glibc
import Metering

/// Turns the name of a host into addresses, and never holds up who asks for longer than its patience.
///
/// getaddrinfo(3) blocks for as long as the system's resolver likes, half a minute and more when a name server is gone, and cannot be
/// broken off. So each lookup runs on a thread of its own, one for a name at a time. Who asks waits a moment and is then told that the
/// lookup still goes on; what it brings in the end is kept for whoever asks next. Addresses in digits need no lookup.
package final class NameResolver: Sendable {
    package static let shared = NameResolver()

    /// How long an answer that nobody waited for is good.
    static let lifetime = Duration.seconds(60)
    /// Lookups under way at a time; one more is refused. Each is a thread that may be stuck.
    package static let lookupLimit = 64

    /// A socket address as connect(2) takes it.
    package struct Address: Hashable, Sendable {
        package var family: Int32
        package var bytes: [UInt8]
    }

    package enum Failure: Error, Hashable, Sendable {
        /// The lookup goes on.
        case pending
        /// Too many lookups go on.
        case busy
        /// The resolver's own number, EAI_...
        case unknown(Int32)
    }

    package typealias Answer = Result<[Address], Failure>

    private struct State {
        var running: [String: Lookup] = [:]
        var kept: [String: (answer: Answer, until: Uptime)] = [:]
    }

    private let patience: Duration
    private let lookup: @Sendable (String) -> Answer
    private let time: any TimeSource
    private let state = Lock(State())

    /// - Parameters:
    ///   - patience: below the grace that a stop gives a bus.
    ///   - lookup: blocks as long as it likes; addresses come with port 0.
    package init(
        patience: Duration = .milliseconds(400), time: any TimeSource = SystemTime(),
        lookup: @escaping @Sendable (String) -> Answer = { NameResolver.systemAnswer($0, flags: 0) }
    ) {
        self.patience = patience
        self.time = time
        self.lookup = lookup
    }

    /// - Parameter host: a name or an address in digits.
    package func addresses(of host: String, port: UInt16) throws(Failure) -> [Address] {
        if case .success(let numeric) = NameResolver.systemAnswer(host, flags: AI_NUMERICHOST) {
            return numeric.map { $0.with(port: port) }
        }
        return try answer(to: host).get().map { $0.with(port: port) }
    }

    private func answer(to host: String) throws(Failure) -> Answer {
        enum Way {
            case kept(Answer)
            case join(Lookup)
            case begin(Lookup)
            case refuse
        }
        let now = time.uptime()
        let way = state.withLock { state -> Way in
            state.kept = state.kept.filter { $0.value.until > now }
            if let kept = state.kept.removeValue(forKey: host) { return .kept(kept.answer) }
            if let running = state.running[host] { return .join(running) }
            guard state.running.count < NameResolver.lookupLimit else { return .refuse }
            let new = Lookup()
            state.running[host] = new
            return .begin(new)
        }
        let lookup: Lookup
        switch way {
        case .kept(let answer): return answer
        case .join(let running): lookup = running
        case .begin(let new):
            lookup = new
            begin(new, host)
        case .refuse: throw .busy
        }
        guard let answer = lookup.wait(patience) else { throw .pending }
        return answer
    }

    private func begin(_ running: Lookup, _ host: String) {
        let isStarted = DetachedThread.start(name: "resolver") { [self] in end(running, host, lookup(host)) }
        if !isStarted { end(running, host, .failure(.busy)) }
    }

    private func end(_ running: Lookup, _ host: String, _ answer: Answer) {
        let wasAwaited = running.finish(answer)
        let until = time.uptime() + NameResolver.lifetime
        state.withLock { state in
            state.running[host] = nil
            if !wasAwaited, answer != .failure(.busy) { state.kept[host] = (answer, until) }
        }
    }

    package static func systemAnswer(_ host: String, flags: Int32) -> Answer {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, nil, &hints, &list)
        guard failure == 0, let first = list else { return .failure(.unknown(failure)) }
        defer { freeaddrinfo(list) }
        return .success(
            sequence(first: first) { $0.pointee.ai_next }.compactMap { entry in
                guard let address = entry.pointee.ai_addr else { return nil }
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
                return Address(family: entry.pointee.ai_family, bytes: Array(bytes))
            })
    }
}

extension NameResolver.Address {
    /// The port stands at the same place in the addresses of both families, high byte first.
    fileprivate func with(port: UInt16) -> NameResolver.Address {
        guard family == AF_INET || family == AF_INET6, bytes.count >= 4 else { return self }
        var copy = self
        copy.bytes[2] = UInt8(port >> 8)
        copy.bytes[3] = UInt8(port & 0xFF)
        return copy
    }
}

/// One lookup under way, and those who wait for it.
private final class Lookup: @unchecked Sendable {
    // Safe to share: `answer` and `waiting` are touched only with `mutex` held.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var answer: NameResolver.Answer?
    private var waiting = 0

    init() {
        pthread_mutex_init(mutex, nil)
        var monotonic = pthread_condattr_t()
        pthread_condattr_init(&monotonic)
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC)
        pthread_cond_init(done, &monotonic)
        pthread_condattr_destroy(&monotonic)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        pthread_cond_destroy(done)
        done.deallocate()
    }

    /// - Returns: whether somebody waited for it.
    func finish(_ answer: NameResolver.Answer) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        self.answer = answer
        pthread_cond_broadcast(done)
        return waiting > 0
    }

    /// Holds the calling thread, `bound` at most; nil when there was no answer by then.
    func wait(_ bound: Duration) -> NameResolver.Answer? {
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        let nanoseconds = Int64(until.tv_nsec) + bound.nanoseconds
        until.tv_sec += Int(nanoseconds / 1_000_000_000)
        until.tv_nsec = Int(nanoseconds % 1_000_000_000)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        waiting += 1
        defer { waiting -= 1 }
        while answer == nil {
            if pthread_cond_timedwait(done, mutex, &until) == ETIMEDOUT { break }
        }
        return answer
    }
}
