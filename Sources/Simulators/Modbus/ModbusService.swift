import Glibc
import Host
import Metering

/// Requests that wait for a slow device, and how long the server may sleep for them.
struct DelayedRequests {
    /// Requests that may wait at once; more are not answered at all, as by a device that is swamped.
    static let limit = 1000

    private var waiting: [(due: Uptime, descriptor: Int32, request: ModbusRequest)] = []

    mutating func add(_ request: ModbusRequest, on descriptor: Int32, due: Uptime) {
        if waiting.count < DelayedRequests.limit { waiting.append((due, descriptor, request)) }
    }

    mutating func forget(_ descriptor: Int32) { waiting.removeAll { $0.descriptor == descriptor } }

    mutating func takeDue(at now: Uptime) -> [(descriptor: Int32, request: ModbusRequest)] {
        let due = waiting.filter { $0.due <= now }.map { ($0.descriptor, $0.request) }
        if !due.isEmpty { waiting.removeAll { $0.due <= now } }
        return due
    }

    /// For poll(2): -1 when nothing waits.
    func pollTimeout(at now: Uptime) -> Int32 {
        guard let next = waiting.map(\.due).min() else { return -1 }
        return Int32(clamping: max(0, (next - now).milliseconds + 1))
    }
}

/// Answers requests of one transport as the site says. Used by one server thread.
final class ModbusService {
    let framing: Framing
    let site: Site
    let modbus: LibModbus
    private(set) var delayed = DelayedRequests()
    /// Nil for a transport that takes no time.
    private let wire: WireTime?
    /// A line takes its time however the site's clock is moved.
    private let lineClock = SystemTime()
    private var requestBegan = Uptime(nanoseconds: 0)

    init(_ framing: Framing, site: Site, wire: WireTime? = nil) throws(SimulatorError) {
        self.framing = framing
        self.wire = wire
        self.site = site
        modbus = try LibModbus(framing)
    }

    var pollTimeout: Int32 { delayed.pollTimeout(at: site.time.uptime()) }
    func forget(_ descriptor: Int32) { delayed.forget(descriptor) }

    /// Serves what is readable on `descriptor`; false when it should be closed.
    func serve(_ descriptor: Int32) -> Bool {
        modbus.use(descriptor)
        requestBegan = lineClock.uptime()
        switch modbus.receive() {
        case .request(let request): return answer(request, on: descriptor, delayed: false)
        case .noise:
            guard framing == .rtu else { return false }  // a stream that lost its place cannot find it again
            tcflush(descriptor, TCIFLUSH)
            return true
        case .closed: return false
        }
    }

    /// Answers what has waited long enough; returns descriptors that should be closed.
    func serveDelayed() -> [Int32] {
        requestBegan = lineClock.uptime()
        return delayed.takeDue(at: site.time.uptime()).filter { !answer($0.request, on: $0.descriptor, delayed: true) }.map(\.descriptor)
    }

    private func answer(_ request: ModbusRequest, on descriptor: Int32, delayed wasDelayed: Bool) -> Bool {
        switch site.reaction(to: request, delayed: wasDelayed) {
        case .words(let words):
            let bits = request.function <= 2
            wire?.hold(replyBytes: 5 + (bits ? (words.count + 7) / 8 : 2 * words.count), since: requestBegan, lineClock)
            modbus.use(descriptor)
            return modbus.reply(words, to: request)
        case .exception(let code):
            return put(framing.exception(code, to: request), descriptor)
        case .spoiled(let words, let fault):
            return put(framing.spoiled(words, fault, answering: request), descriptor)
        case .silence:
            return true
        case .later(let delay):
            delayed.add(request, on: descriptor, due: site.time.uptime() + delay)
            return true
        case .drop:
            return framing == .rtu
        case .nobody:
            // Exception 11: a gateway's word for "target device failed to respond". On a line nobody speaks for the absent.
            return framing == .rtu ? true : put(framing.exception(11, to: request), descriptor)
        }
    }

    private func put(_ bytes: [UInt8], _ descriptor: Int32) -> Bool {
        wire?.hold(replyBytes: bytes.count, since: requestBegan, lineClock)
        return writeAll(descriptor, bytes, socket: framing == .tcp)
    }
}
