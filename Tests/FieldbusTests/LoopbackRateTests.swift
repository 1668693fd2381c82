import Glibc
import Host
import Metering
import Testing

@testable import Fieldbus

/// Not a promise but a measurement; runs when FIELDBUS_RATE is set and prints what it finds.
@Suite(.enabled(if: getenv("FIELDBUS_RATE") != nil, "a measurement; set FIELDBUS_RATE to run it")) struct LoopbackRateTests {
    @Test func visitsPerSecond() async throws {
        try await withTCPDevice(WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }) { port in
            let time = SystemTime()
            let reader = TCPReader(name: "rate", host: "127.0.0.1", port: port, timeout: .seconds(1), time: time)
            for blocks in [1, 10] {
                let list = Array(repeating: Block(.holding, 0, count: 80), count: blocks)
                let start = time.uptime()
                var visits = 0
                while time.uptime() - start < .seconds(2) {
                    _ = await reader.read(list, unit: 1)
                    visits += 1
                }
                print("blocks a visit \(blocks): \(Int(Double(visits * blocks) / (time.uptime() - start).seconds)) requests/s")
            }
            await reader.close()
        }
    }
}
