import Gateway
import Metering
import Testing

/// What a Prometheus server makes of `/metrics`, read by the rules of the text format 0.0.4.
@Suite struct MetricsTests {
    private struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    /// - Throws: for a line that is no sample, or that stands before the TYPE of its family.
    private func parse(_ text: String) throws -> [Sample] {
        var typed: Set<String> = []
        var samples: [Sample] = []
        #expect(text.hasSuffix("\n"))
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                let name = String(try #require(line.split(separator: " ").dropFirst(2).first))
                #expect(typed.insert(name).inserted, "\(name) has one TYPE")
            }
            if line.hasPrefix("#") { continue }
            let sample = try parse(sample: line)
            #expect(typed.contains(sample.name))
            samples.append(sample)
        }
        return samples
    }

    private func parse(sample line: Substring) throws -> Sample {
        let name = line.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        var rest = line.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            repeat {
                rest.removeFirst()
                let key = rest.prefix { $0 != "=" }
                rest = rest.dropFirst(key.count + 2)
                var value = ""
                while let character = rest.popFirst(), character != "\"" {
                    if character == "\\" {
                        let next = rest.popFirst()
                        let escaped = try #require(next)
                        value.append(escaped == "n" ? "\n" : escaped)
                    } else {
                        value.append(character)
                    }
                }
                labels[String(key)] = value
            } while rest.first == ","
            let end = rest.popFirst()
            #expect(end == "}")
        }
        let blank = rest.popFirst()
        #expect(blank == " ")
        return Sample(name: String(name), labels: labels, value: try #require(Double(rest), "\(line)"))
    }

    @Test func valuesHaveTheirUnitAndUnknownOnesAreAbsent() throws {
        let samples = try parse(MetricsText(status: cannedStatus(), readings: cannedReadings()).text)
        let readings = samples.filter { $0.name == "meterd_reading" }
        #expect(readings.map { $0.labels["quantity"] } == ["energy_active_import", "power_active"])
        #expect(
            readings.last
                == Sample(
                    name: "meterd_reading", labels: ["device": "main", "role": "grid", "quantity": "power_active", "unit": "W"], value: 30.2
                ))
        func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
            samples.first { $0.name == name && $0.labels.merging(labels) { $1 } == $0.labels }?.value
        }
        #expect(value("meterd_health", ["state": "degraded"]) == 1 && value("meterd_health", ["state": "ok"]) == 0)
        #expect(value("meterd_journal_bytes") == 1_048_576)
        #expect(value("meterd_device_polls_total", ["device": "hall-2", "result": "failed"]) == 15)
        #expect(value("meterd_bus_timeouts_total", ["bus": "line-1"]) == 7)
        #expect(value("meterd_output_backlog_polls", ["output": "park"]) == 3)
    }

    @Test func anyTextIsALabelAndComesBackAsItWas() throws {
        var status = cannedStatus()
        status.gateway = "a\"b\\c\nd{},="
        let samples = try parse(MetricsText(status: status, readings: cannedReadings()).text)
        #expect(samples.first { $0.name == "meterd_info" }?.labels["gateway"] == status.gateway)
    }

    @Test func theRouteAnswersInTheFormatOfPrometheus() async throws {
        try await withServer { socket in
            let answer = try await exchange(socket, "/metrics")
            #expect(answer.status == 200)
            #expect(answer.head.lowercased().contains("content-type: text/plain; version=0.0.4; charset=utf-8"))
            #expect(try parse(answer.body).count > 20)
            let unknown = try await exchange(socket, "/v1/reload")
            #expect(unknown.status == 405 && unknown.head.lowercased().contains("allow: post"))
            #expect(try await exchange(socket, "/v1/reload", method: "POST").status == 403)
        }
    }
}
