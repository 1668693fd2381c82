import Fieldbus
import Metering

/// How one device is asked and what was learned of it, as `/v1/device` tells it.
package struct DevicePlanReport: Hashable, Sendable, Decodable {
    package struct Request: Hashable, Sendable, Decodable {
        package var pointClass: String
        package var table: String
        package var address: Int
        package var count: Int
        package var points: [String]
    }

    package struct Exclusion: Hashable, Sendable, Decodable {
        package enum Reason: String, Hashable, Sendable, Decodable, JSONValue { case refused, unanswered }

        package var table: String
        package var address: Int
        package var count: Int
        package var points: [String]
        package var reason: Reason
        /// Until it is asked for again.
        package var retrySeconds: Int
    }

    package struct Split: Hashable, Sendable, Decodable {
        package var table: String
        package var address: Int
    }

    /// Nil for a class that is not asked for.
    package var liveMilliseconds: Int?
    package var slowMilliseconds: Int?
    package var responseMilliseconds: Double?
    package var timeoutMilliseconds: Double?
    package var requests: [Request]
    package var excluded: [Exclusion]
    package var splits: [Split]
    package var separatesClasses: Bool
    package var unreadable: [String]

    init(_ insight: DeviceInsight) {
        liveMilliseconds = insight.periods[.live].map { Int($0.milliseconds) }
        slowMilliseconds = insight.periods[.slow].map { Int($0.milliseconds) }
        responseMilliseconds = insight.timing?.typical.map { $0.seconds * 1000 }
        timeoutMilliseconds = insight.timing.map { $0.timeout.seconds * 1000 }
        requests = insight.requests.map {
            Request(
                pointClass: $0.pointClass.rawValue, table: $0.block.table.name, address: Int($0.block.address), count: Int($0.block.count),
                points: $0.points)
        }
        excluded = insight.exclusions.map {
            Exclusion(
                table: $0.block.table.name, address: Int($0.block.address), count: Int($0.block.count), points: $0.points,
                reason: $0.isRefused ? .refused : .unanswered, retrySeconds: Int($0.retry.milliseconds / 1000))
        }
        splits = insight.splits.map { Split(table: $0.table.name, address: Int($0.address)) }
        separatesClasses = insight.separatesClasses
        unreadable = insight.unreadable
    }
}

extension DevicePlanReport: JSONValue {
    private enum CodingKeys: String, CodingKey {
        case requests, excluded, splits, unreadable
        case liveMilliseconds = "live_ms"
        case slowMilliseconds = "slow_ms"
        case responseMilliseconds = "response_ms"
        case timeoutMilliseconds = "timeout_ms"
        case separatesClasses = "separates_classes"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.liveMilliseconds, liveMilliseconds)
            $0.field(CodingKeys.slowMilliseconds, slowMilliseconds)
            $0.field(CodingKeys.responseMilliseconds, responseMilliseconds.map { ExactDecimal(rounding: $0, places: 2) })
            $0.field(CodingKeys.timeoutMilliseconds, timeoutMilliseconds.map { ExactDecimal(rounding: $0, places: 1) })
            $0.field(CodingKeys.requests, requests)
            $0.field(CodingKeys.excluded, excluded)
            $0.field(CodingKeys.splits, splits)
            $0.field(CodingKeys.separatesClasses, separatesClasses)
            $0.field(CodingKeys.unreadable, unreadable)
        }
    }
}

extension DevicePlanReport.Request: JSONValue {
    private enum CodingKeys: String, CodingKey {
        case pointClass = "class"
        case table, address, count, points
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.pointClass, pointClass)
            $0.field(CodingKeys.table, table)
            $0.field(CodingKeys.address, address)
            $0.field(CodingKeys.count, count)
            $0.field(CodingKeys.points, points)
        }
    }
}

extension DevicePlanReport.Exclusion: JSONValue {
    private enum CodingKeys: String, CodingKey {
        case table, address, count, points, reason
        case retrySeconds = "retry_s"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.table, table)
            $0.field(CodingKeys.address, address)
            $0.field(CodingKeys.count, count)
            $0.field(CodingKeys.points, points)
            $0.field(CodingKeys.reason, reason)
            $0.field(CodingKeys.retrySeconds, retrySeconds)
        }
    }
}

extension DevicePlanReport.Split: JSONValue {
    private enum CodingKeys: String, CodingKey { case table, address }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.table, table)
            $0.field(CodingKeys.address, address)
        }
    }
}

/// `/v1/device`: one device, its plan and its points.
package struct DeviceDetailReport: Hashable, Sendable, Decodable {
    package var device: DeviceReport
    /// Nil while its bus has not begun.
    package var plan: DevicePlanReport?
    /// As `/v1/readings` lists them; identity among them.
    package var points: [PointReport]

    package init(device: DeviceReport, plan: DevicePlanReport?, points: [PointReport]) {
        self.device = device
        self.plan = plan
        self.points = points
    }
}

extension DeviceDetailReport: JSONValue {
    private enum CodingKeys: String, CodingKey { case device, plan, points }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.device, device)
            $0.field(CodingKeys.plan, plan)
            $0.field(CodingKeys.points, points)
        }
    }
}
