/// Makes quarter hours of the polls of one device. A value: polls in, in the order in which they were taken; intervals out, in order.
///
/// An interval is given out once nothing can change it: 10 s after its end, when every counter was read again. It is given out in any
/// case a quarter hour after its end, so that at most three are open. What a counter's next reading then tells of it goes into the next one:
/// no energy is lost or counted twice, since each interval opens with the reading that closed the one before.
package struct IntervalBuilder: Sendable {
    package let device: String
    private var setting: (decoder: ReadingDecoder, unit: UInt8)?
    /// Where each point of the profile goes.
    private var places: [Place] = []
    private var saysSerial = false
    private var counters: [IntervalCounter] = []
    private var gauges: [IntervalGauge] = []
    private var identity = IdentityRecord()
    private var drafts: [IntervalDraft] = []
    /// How often the clock went back to where it had been.
    private var returns = 0
    /// The latest interval that was ever begun.
    private var highest = Int64.min
    private var clock = PollClock()
    private var period = PeriodEstimate()
    private var lastGood: Timestamp?
    private var gaps = 0
    /// Events that wait for their draft.
    private var events: [(event: IntervalEvent, counter: Int?)] = []

    private enum Place: Sendable { case counter(Int), gauge(Int), serial, nowhere }

    /// A hole of more intervals than that is passed over: a year, and then some.
    static let holeLimit: Int64 = 40_000
    /// 2020-01-01: an earlier date is that of a clock that was never set, and says nothing of when a poll was taken.
    static let earliest = Timestamp(milliseconds: 1_577_836_800_000)
    /// Other devices' polls may stand in the journal so much before this one's of the same time.
    static let disorder: Int64 = 60_000
    /// A day: others whose clock leaps further are not followed.
    static let passLimit: Int64 = 96

    /// - Parameter from: the first interval holds this time, though nothing was read in it; nil for the one of the first poll.
    package init(device: String, from: Timestamp? = nil) {
        self.device = device
        if let from, from >= IntervalBuilder.earliest { begin(Interval.number(of: from)) }
    }

    /// What the device's polls are decoded by from here on. A counter that another definition reads, or another unit, is split here.
    package mutating func use(_ decoder: ReadingDecoder, unit: UInt8) {
        let isNew = setting.map { $0.unit != unit } ?? false
        setting = (decoder, unit)
        for index in counters.indices { counters[index].isRetired = true }
        for index in gauges.indices { gauges[index].isRetired = true }
        saysSerial = decoder.quantities.contains { $0.id == "device_serial" }
        places = zip(decoder.profile.points, decoder.quantities).map { point, quantity in place(point, quantity, isNew) }
        if isNew { identity = IdentityRecord() }
        for index in drafts.indices { drafts[index].grow(counters: counters.count, gauges: gauges.count) }
    }

    private mutating func place(_ point: PointDefinition, _ quantity: Quantity, _ isNew: Bool) -> Place {
        switch quantity.kind {
        case .counter:
            guard let index = counters.firstIndex(where: { $0.quantity == quantity }) else {
                counters.append(IntervalCounter(quantity: quantity, definition: point))
                return .counter(counters.count - 1)
            }
            counters[index].isRetired = false
            if isNew || counters[index].definition != point {
                counters[index].definition = point
                let step = counters[index].track.begin(.redefined, holdsOld: true, range: CounterRange(of: point))
                if let step { follow(step, index) }
            }
            return .counter(index)
        case .gauge where point.pointClass != .once:
            if let index = gauges.firstIndex(where: { $0.quantity == quantity }) {
                gauges[index].isRetired = false
                return .gauge(index)
            }
            gauges.append(IntervalGauge(quantity: quantity))
            return .gauge(gauges.count - 1)
        case .text: return quantity.id == "device_serial" ? .serial : .nowhere
        case .gauge, .state: return .nowhere
        }
    }

    // MARK: - Polls

    /// - Parameter boot: the start of the machine that the poll's uptime belongs to.
    package mutating func take(_ poll: Poll, boot: Int, emit: (Interval) -> Void) {
        guard let decoder = setting?.decoder, poll.time >= IntervalBuilder.earliest else { return }
        let number = Interval.number(of: poll.time)
        if drafts.isEmpty { begin(number) }
        let passage = clock.pass(to: poll, boot: boot)
        let failed = poll.failed
        let readings = decoder.decode(poll.answers)
        noteGap(poll, failed, passage)
        noteIdentity(readings, poll, failed, isRestart: passage.isRestart)
        feed(readings, poll, boot)
        turn(to: number, passage, emit)
        guard let draft = drafts.firstIndex(where: { $0.number == number }) else { return }
        if failed { drafts[draft].failedPolls += 1 } else { drafts[draft].polls += 1 }
        drafts[draft].note(poll.clock)
        if identity.isUnverified(at: poll.time) { drafts[draft].quality.insert(.identityUnverified) }
        count(readings, poll.time, draft)
        placeEvents()
        giveOut(at: poll.time.milliseconds, emit)
    }

    /// Nothing of this device came up to then.
    package mutating func pass(_ time: Timestamp, emit: (Interval) -> Void) {
        let time = Timestamp(milliseconds: time.milliseconds - IntervalBuilder.disorder)
        guard let last = drafts.last, Interval.number(of: time) - last.number <= IntervalBuilder.passLimit else { return }
        roll(to: Interval.number(of: time), isCut: false, emit)
        giveOut(at: time.milliseconds, emit)
    }

    /// Gives out all there is; what has not ended by then is marked so.
    package mutating func finish(at time: Timestamp, emit: (Interval) -> Void) {
        for index in counters.indices {
            if let step = counters[index].track.finish() { follow(step, index) }
        }
        placeEvents()
        if time >= IntervalBuilder.earliest { roll(to: Interval.number(of: time), isCut: false, emit) }
        while let draft = drafts.first {
            close(draft, isComplete: draft.end <= time.milliseconds, until: time.milliseconds, emit)
        }
    }

    private mutating func noteGap(_ poll: Poll, _ failed: Bool, _ passage: PollClock.Passage) {
        if let step = passage.stepMilliseconds {
            for index in gauges.indices { gauges[index].standing = nil }
            events.append((IntervalEvent(.clockStep, time: poll.time, stepMilliseconds: step), nil))
        }
        if failed || passage.isRestart { gaps += 1 }
        guard !failed else { return }
        defer { lastGood = poll.time }
        guard let lastGood else { return }
        let hole = passage.sinceGood ?? poll.time.milliseconds - lastGood.milliseconds
        if Double(hole) > period.gapMilliseconds {
            gaps += 1
            events.append((IntervalEvent(.gap, time: poll.time, since: lastGood), nil))
        }
        period.note(hole)
    }

    private mutating func noteIdentity(_ readings: [Reading], _ poll: Poll, _ failed: Bool, isRestart: Bool) {
        guard saysSerial else { return }
        var serial: String?
        for reading in readings {
            if case .serial = places[reading.point], case .text(let text)? = reading.value { serial = text }
        }
        guard let old = identity.take(serial, poll, failed: failed, isRestart: isRestart) else { return }
        events.append((old.event(at: poll.time, new: serial), nil))
        for index in counters.indices {
            let step = counters[index].track.begin(.exchange, holdsOld: counters[index].gaps != gaps)
            if let step { follow(step, index) }
        }
    }

    private mutating func feed(_ readings: [Reading], _ poll: Poll, _ boot: Int) {
        for reading in readings {
            guard case .counter(let index) = places[reading.point] else { continue }
            guard let value = reading.value?.number else {
                counters[index].isBroken = true
                continue
            }
            let followsGap = counters[index].isBroken || counters[index].gaps != gaps
            counters[index].isBroken = false
            counters[index].gaps = gaps
            let step = counters[index].track.take(
                CounterReading(
                    value: value, time: poll.time, uptime: poll.uptime, boot: boot, isSynchronized: poll.clock == .synchronized,
                    followsGap: followsGap))
            if let step { follow(step, index) }
        }
    }

    private mutating func follow(_ step: CounterStep, _ index: Int) {
        if let event = IntervalEvent(step, quantity: counters[index].quantity.id) { events.append((event, index)) }
        guard let mark = counters[index].follow(step) else { return }
        for draft in drafts.indices { drafts[draft].offer(mark, counter: index) }
        // From before the clock was set back: later than all that is open now, and yet older.
        if let last = drafts.last, mark.reading.time.milliseconds > last.end + Interval.boundaryLimit {
            drafts[drafts.count - 1].counters[index].close = mark
        }
    }

    private mutating func count(_ readings: [Reading], _ time: Timestamp, _ draft: Int) {
        for reading in readings {
            switch places[reading.point] {
            case .counter(let index):
                guard reading.value?.number != nil else {
                    drafts[draft].counters[index].faults.formUnion(reading.quality)
                    continue
                }
                drafts[draft].counters[index].samples += 1
                drafts[draft].counters[index].quality.formUnion(reading.quality)
                if let last = counters[index].lastTime { counters[index].period.note(time.milliseconds - last.milliseconds) }
                counters[index].lastTime = time
            case .gauge(let index): sample(reading, time, index, draft)
            case .serial, .nowhere: break
            }
        }
    }

    private mutating func sample(_ reading: Reading, _ time: Timestamp, _ index: Int, _ draft: Int) {
        guard let value = reading.value?.number else {
            gauges[index].standing = nil
            drafts[draft].gauges[index].faults.formUnion(reading.quality)
            return
        }
        if let last = gauges[index].lastTime { gauges[index].period.note(time.milliseconds - last.milliseconds) }
        gauges[index].lastTime = time
        if let (standing, since) = gauges[index].standing,
            Double(time.milliseconds - since.milliseconds) <= gauges[index].period.gapMilliseconds
        {
            for other in drafts.indices {
                let held = min(time.milliseconds, drafts[other].end) - max(since.milliseconds, drafts[other].start)
                drafts[other].gauges[index].summary.hold(standing, milliseconds: held)
            }
        }
        gauges[index].standing = (value, time)
        drafts[draft].gauges[index].summary.sample(value)
        drafts[draft].gauges[index].quality.formUnion(reading.quality)
    }

    // MARK: - Intervals

    /// Goes to the interval of a poll. Where the clock was moved out of an interval, that one is closed as it is.
    private mutating func turn(to number: Int64, _ passage: PollClock.Passage, _ emit: (Interval) -> Void) {
        guard let last = drafts.last else { return }
        let isMoved = passage.stepMilliseconds.map { $0.magnitude > Interval.boundaryLimit.magnitude } ?? false
        if number > last.number {
            if isMoved { drafts[drafts.count - 1].isCut = true }
            roll(to: number, isCut: isMoved, emit)
        } else if number < last.number, isMoved || !drafts.contains(where: { $0.number == number }) {
            // Back in time: what is open was lived through up to here.
            placeEvents(ofOpenOnly: true)
            for index in drafts.indices { drafts[index].isCut = true }
            while let draft = drafts.first { close(draft, isComplete: true, until: draft.end, emit) }
            begin(number)
        }
        if isMoved, let index = drafts.firstIndex(where: { $0.number == number }) { drafts[index].isCut = true }
    }

    private mutating func roll(to number: Int64, isCut: Bool, _ emit: (Interval) -> Void) {
        guard let last = drafts.last?.number, number > last else { return }
        if number - last > IntervalBuilder.holeLimit {
            while let draft = drafts.first { close(draft, isComplete: true, until: draft.end, emit) }
            return begin(number)
        }
        for next in (last + 1)..<(number + 1) {
            // Named here: what lies further back is closed, and these belong to it.
            placeEvents(ofOpenOnly: true)
            begin(next)
            if isCut { drafts[drafts.count - 1].isCut = true }
            guard drafts.count > 2 else { continue }
            takeWaiting(upTo: drafts[0].end + Interval.boundaryLimit)
            close(drafts[0], isComplete: true, until: drafts[0].end, emit)
        }
    }

    /// A reading that nothing followed for a quarter hour is taken as it is; what comes later may still tell that it was wrong.
    private mutating func takeWaiting(upTo time: Int64) {
        for index in counters.indices where counters[index].track.waiting.map({ $0.time.milliseconds <= time }) ?? false {
            if let step = counters[index].track.finish() { follow(step, index) }
        }
    }

    private mutating func begin(_ number: Int64) {
        if number <= highest, drafts.isEmpty { returns += 1 }
        let segment = number > highest ? 0 : returns
        highest = max(highest, number)
        drafts.append(IntervalDraft(number: number, segment: segment, counters: counters.count, gauges: gauges.count))
    }

    /// Gives out what nothing can change any more.
    private mutating func giveOut(at time: Int64, _ emit: (Interval) -> Void) {
        while drafts.count > 1, let draft = drafts.first {
            let until = draft.end + Interval.boundaryLimit
            guard time >= until, counters.allSatisfy({ $0.track.waiting.map { $0.time.milliseconds > until } ?? true }) else { return }
            close(draft, isComplete: true, until: draft.end, emit)
        }
    }

    private mutating func close(_ draft: IntervalDraft, isComplete: Bool, until: Int64, _ emit: (Interval) -> Void) {
        drafts.removeFirst()
        var draft = draft
        let isSilent = draft.polls + draft.failedPolls == 0
        if isSilent { draft.quality.insert(draft.isCut ? [.partial, .timeUnsynchronized] : .noCommunication) }
        if draft.isCut { draft.quality.formUnion([.partial, .timeUnsynchronized]) }
        let span = isComplete ? Interval.milliseconds : max(0, min(until, draft.end) - draft.start)
        var ownCounters: [CounterInterval] = []
        for (index, own) in draft.counters.enumerated() {
            let interval = counters[index].close(draft, own, isComplete: isComplete, span: span)
            if !counters[index].isRetired || own.samples > 0 { ownCounters.append(interval) }
        }
        var ownGauges: [GaugeInterval] = []
        for (index, own) in draft.gauges.enumerated() where !gauges[index].isRetired || own.summary.samples > 0 {
            ownGauges.append(gauges[index].close(draft, own, isComplete: isComplete, span: span))
        }
        let quality = ownGauges.reduce(ownCounters.reduce(draft.quality) { $0.union($1.quality) }) { $0.union($1.quality) }
        emit(
            Interval(
                device: device, start: Timestamp(milliseconds: draft.start), segment: draft.segment, isComplete: isComplete,
                serial: identity.serial, clock: draft.clock, polls: draft.polls, failedPolls: draft.failedPolls, quality: quality,
                counters: ownCounters, gauges: ownGauges, events: draft.events, eventsDropped: draft.eventsDropped))
    }

    /// - Parameter ofOpenOnly: true while the interval of some is not open yet.
    private mutating func placeEvents(ofOpenOnly: Bool = false) {
        guard !events.isEmpty, let last = drafts.indices.last else { return }
        var waiting: [(event: IntervalEvent, counter: Int?)] = []
        for (event, counter) in events {
            let own = drafts.firstIndex { $0.number == Interval.number(of: event.time) }
            guard own != nil || !ofOpenOnly else {
                waiting.append((event, counter))
                continue
            }
            let draft = own ?? last
            drafts[draft].note(event)
            guard let counter, event.kind != .glitch else { continue }
            drafts[draft].counters[counter].quality.insert(.registerBreak)
            if event.kind == .jumpForward { drafts[draft].counters[counter].quality.insert(.spike) }
        }
        events = waiting
    }
}

extension IntervalDraft {
    fileprivate mutating func grow(counters: Int, gauges: Int) {
        while self.counters.count < counters { self.counters.append(Counter()) }
        while self.gauges.count < gauges { self.gauges.append(Gauge()) }
    }
}
