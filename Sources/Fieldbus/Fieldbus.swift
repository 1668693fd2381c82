// Fieldbus: how we ask a meter, one bus at a time.
//
// Read plan, schedule, transports. It knows nothing of SQL or HTTP, nor where its polls go: they leave through `PollSink`.

import Host
import Metering

/// Asks the devices of one bus for registers; reading is all it can do. Whoever asks waits for the answer before asking again.
///
/// Conformers: `TCPReader`, `SerialReader`, and simulated ones in tests.
package protocol RegisterReader: Sendable {
    /// Asks one device for the blocks in order, one request in flight, and returns an answer for each.
    ///
    /// After a fault of the line (no connection, timeout, garbled) the blocks left are not asked and get the same fault: a dead device
    /// costs one timeout a visit. After an exception the next block is asked.
    func read(_ blocks: [Block], unit: UInt8) async -> Visit

    /// Lets go of the port or connection; the next read opens it again.
    func close() async
}

/// What came of one visit to a device.
package struct Visit: Hashable, Sendable {
    package var answers: [BlockAnswer]
    /// When the last answer was read or given up.
    package var time: Timestamp
    package var uptime: Uptime
    /// Requests put on the wire.
    package var requests: Int

    package init(answers: [BlockAnswer], time: Timestamp, uptime: Uptime, requests: Int) {
        self.answers = answers
        self.time = time
        self.uptime = uptime
        self.requests = requests
    }

    var hasWords: Bool { answers.contains { if case .words = $0.outcome { true } else { false } } }
}

/// Where polls go. Must return at once: a bus does not wait for a disk.
package protocol PollSink: Sendable {
    func take(_ poll: Poll)
}

/// One serial line or one TCP endpoint, as the config states it.
package struct BusDescription: Hashable, Sendable {
    package var name: String
    package var address: BusAddress
    /// Ceiling of the response timeout, which adapts to measured latency.
    package var timeout: Duration
    /// Counters are read as near as possible to the end of each quarter hour, besides their periods.
    package var closesQuarterHours: Bool

    package init(name: String, address: BusAddress, timeout: Duration = .seconds(1), closesQuarterHours: Bool = true) {
        self.name = name
        self.address = address
        self.timeout = timeout
        self.closesQuarterHours = closesQuarterHours
    }
}

package enum BusAddress: Hashable, Sendable {
    case serial(path: String, line: SerialFormat)
    case tcp(host: String, port: UInt16)
    /// RTU frames in a TCP stream, as transparent serial servers send them.
    case rtuOverTCP(host: String, port: UInt16)
}

/// Who turns a half-duplex RS-485 adapter from receiving to sending and back.
package enum LineDirection: Hashable, Sendable {
    /// The adapter itself, as nearly all on USB do.
    case automatic
    /// The kernel's driver of the port (TIOCSRS485).
    case driver
    /// libmodbus by the RTS wire, which is high or low while it sends; `delay` before and after, one character when nil.
    case rts(isHigh: Bool, delay: Duration?)
}

/// Baud rate and character format, written `9600` and `8N1`.
package struct SerialFormat: Hashable, Sendable {
    package enum Parity: Character, Hashable, Sendable { case none = "N", even = "E", odd = "O" }
    package var baud: Int
    package var dataBits: Int
    package var parity: Parity
    package var stopBits: Int
    package var direction: LineDirection

    package init(
        baud: Int = 9600, dataBits: Int = 8, parity: Parity = .none, stopBits: Int = 1, direction: LineDirection = .automatic
    ) {
        self.baud = baud
        self.dataBits = dataBits
        self.parity = parity
        self.stopBits = stopBits
        self.direction = direction
    }

    /// Bits on the wire for one character: start, data, parity, stop.
    package var bitsPerCharacter: Int { 1 + dataBits + (parity == .none ? 0 : 1) + stopBits }
}

/// One device of a bus, with what the schedule needs to know of it.
package struct DeviceDescription: Hashable, Sendable {
    package var name: String
    package var unit: UInt8
    package var entry: CatalogID
    package var profile: Profile {
        get { map.value }
        set { map = Shared(newValue) }
    }
    /// Period of each point class; a class without one is not asked. `once` is asked at start and after each loss of the device.
    package var periods: [PointClass: Duration]
    /// How its map is found out; nil where the profile is the map. Until then the profile is the last one known.
    package var search: MapSearch?
    /// The profile, in one piece: whoever holds a device in hand holds little.
    private(set) var map: Shared<Profile>

    package init(
        name: String, unit: UInt8, entry: CatalogID, profile: Profile, periods: [PointClass: Duration], search: MapSearch? = nil
    ) {
        self.name = name
        self.unit = unit
        self.entry = entry
        map = Shared(profile)
        self.periods = periods
        self.search = search
    }
}

/// A value that many hold and nobody changes.
final class Shared<Value: Hashable & Sendable>: Hashable, Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }

    static func == (a: Shared, b: Shared) -> Bool { a === b || a.value == b.value }
    func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

/// What a bus and its devices have been through, as `meterctl` shows it.
package struct BusStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable { case up, down, starting }
    package var name: String
    package var state: State
    /// Why it is down; nil otherwise.
    package var fault: String?
    package var faultSince: Timestamp?
    /// Share of the time since start, or of the last minute if longer, in which a request was in flight: 0 ... 1.
    package var utilization: Double
    /// Put on the wire, reads that only let late replies pass among them.
    package var requests: Int
    /// Requests that had no answer in time.
    package var timeouts: Int
    /// Requests whose answer was garbled or an exception. Blocks that were not asked, since the line failed before or there was no
    /// connection, count in none of the three.
    package var errors: Int
    /// How fast devices answer, wire time apart: a running mean; nil before the first answer.
    package var response: Duration?
    package var devices: [DeviceStatus]

    package init(
        name: String, state: State, fault: String? = nil, faultSince: Timestamp? = nil, utilization: Double = 0, requests: Int = 0,
        timeouts: Int = 0, errors: Int = 0, response: Duration? = nil, devices: [DeviceStatus] = []
    ) {
        self.name = name
        self.state = state
        self.fault = fault
        self.faultSince = faultSince
        self.utilization = utilization
        self.requests = requests
        self.timeouts = timeouts
        self.errors = errors
        self.response = response
        self.devices = devices
    }
}

package struct DeviceStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable { case starting, online, offline }
    package var name: String
    package var unit: UInt8
    package var state: State
    package var stateSince: Timestamp
    package var lastPoll: Timestamp?
    /// Why its last poll failed; nil when it did not.
    package var lastFault: ReadFault?
    package var pollsOK: Int
    package var pollsFailed: Int
    package var pollsSkipped: Int
    /// Of the polls due, those that began more than half a period late.
    package var pollsLate: Int
    /// Quantities whose registers the device refuses (exception 2); they are asked for again every ten minutes. In order of the profile.
    package var refusedPoints: [String]
    /// Why the device has no map, where it answers; nil where it has one or was not heard yet.
    package var mapFault: String?

    package init(
        name: String, unit: UInt8, state: State, stateSince: Timestamp, lastPoll: Timestamp? = nil, lastFault: ReadFault? = nil,
        pollsOK: Int = 0, pollsFailed: Int = 0, pollsSkipped: Int = 0, pollsLate: Int = 0, refusedPoints: [String] = []
    ) {
        self.name = name
        self.unit = unit
        self.state = state
        self.stateSince = stateSince
        self.lastPoll = lastPoll
        self.lastFault = lastFault
        self.pollsOK = pollsOK
        self.pollsFailed = pollsFailed
        self.pollsSkipped = pollsSkipped
        self.pollsLate = pollsLate
        self.refusedPoints = refusedPoints
    }
}
