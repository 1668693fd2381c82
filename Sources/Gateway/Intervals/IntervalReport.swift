import FoundationEssentials
import Metering

/// A quarter hour of a device, as a line of `/v1/intervals` has it.
package struct IntervalReport: Hashable, Sendable {
    package var interval: Interval

    package init(_ interval: Interval) { self.interval = interval }
}

extension IntervalReport: JSONValue {
    private enum Key: String, CodingKey {
        case device, start, end, segment, complete, serial, clock, polls, quality, counters, gauges, events
        case failedPolls = "failed_polls"
        case qualityNames = "quality_names"
        case eventsDropped = "events_dropped"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Key.device, interval.device)
            $0.field(Key.start, interval.start)
            $0.field(Key.end, interval.end)
            $0.field(Key.segment, interval.segment)
            $0.field(Key.complete, interval.isComplete)
            $0.field(Key.serial, interval.serial)
            $0.field(Key.clock, interval.clock.map { String($0.rawValue) })
            $0.field(Key.polls, interval.polls)
            $0.field(Key.failedPolls, interval.failedPolls)
            $0.field(Key.quality, interval.quality.rawValue)
            $0.field(Key.qualityNames, interval.quality.names)
            $0.field(Key.counters, interval.counters.map(CounterIntervalReport.init))
            $0.field(Key.gauges, interval.gauges.map(GaugeIntervalReport.init))
            $0.field(Key.events, interval.events.map(IntervalEventReport.init))
            $0.field(Key.eventsDropped, interval.eventsDropped)
        }
    }
}

private struct CounterIntervalReport: JSONValue {
    var counter: CounterInterval

    private enum Key: String, CodingKey {
        case quantity, unit, advance, open, close, samples, expected, quality
        case openTime = "open_time"
        case openWay = "open_way"
        case closeTime = "close_time"
        case closeWay = "close_way"
        case qualityNames = "quality_names"
    }

    func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Key.quantity, counter.quantity.id)
            $0.field(Key.unit, counter.quantity.unit)
            $0.field(Key.advance, counter.advance)
            $0.field(Key.open, counter.open?.value)
            $0.field(Key.openTime, counter.open?.time)
            $0.field(Key.openWay, counter.open?.way.rawValue)
            $0.field(Key.close, counter.close?.value)
            $0.field(Key.closeTime, counter.close?.time)
            $0.field(Key.closeWay, counter.close?.way.rawValue)
            $0.field(Key.samples, counter.samples)
            $0.field(Key.expected, counter.expected)
            $0.field(Key.quality, counter.quality.rawValue)
            $0.field(Key.qualityNames, counter.quality.names)
        }
    }
}

private struct GaugeIntervalReport: JSONValue {
    var gauge: GaugeInterval

    private enum Key: String, CodingKey {
        case quantity, unit, min, mean, max, samples, expected, quality
        case qualityNames = "quality_names"
    }

    func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Key.quantity, gauge.quantity.id)
            $0.field(Key.unit, gauge.quantity.unit)
            $0.field(Key.min, gauge.minimum)
            $0.field(Key.mean, gauge.mean)
            $0.field(Key.max, gauge.maximum)
            $0.field(Key.samples, gauge.samples)
            $0.field(Key.expected, gauge.expected)
            $0.field(Key.quality, gauge.quality.rawValue)
            $0.field(Key.qualityNames, gauge.quality.names)
        }
    }
}

private struct IntervalEventReport: JSONValue {
    var event: IntervalEvent

    private enum Key: String, CodingKey {
        case kind, time, quantity, before, after, since
        case stepMilliseconds = "step_ms"
    }

    func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Key.kind, event.kind.rawValue)
            $0.field(Key.time, event.time)
            $0.field(Key.quantity, event.quantity)
            $0.field(Key.before, event.before)
            $0.field(Key.after, event.after)
            $0.field(Key.since, event.since)
            $0.field(Key.stepMilliseconds, event.stepMilliseconds)
        }
    }
}
