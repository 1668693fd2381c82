import Glibc
import Host
import Metering
import Testing

@testable import Fieldbus

@Suite struct DescriptorLimitTests {
    /// select(2) in libmodbus would abort the process; in a process of its own, since it takes all descriptors below the limit.
    @Test func descriptorBeyondTheLimitIsRefusedCleanly() async {
        await #expect(processExitsWith: .exitCode(7)) {
            var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let (code, outcome) = try await withPtyDevice(WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }) { path in
                while true {
                    let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                    if descriptor < 0 || descriptor >= 1030 { break }
                }
                let block = Block(.holding, 0, count: 1)
                let tcp = TCPReader(name: "tcp", host: "127.0.0.1", port: 9, timeout: .milliseconds(100), time: SystemTime())
                _ = await tcp.read([block], unit: 1)
                let serial = SerialReader(name: "line", path: path, line: SerialFormat(), timeout: .milliseconds(100), time: SystemTime())
                let outcome = await serial.read([block], unit: 1).answers[0].outcome
                guard serial.lastError?.code == .tooManyFiles else { return (BusError.Code?.none, outcome) }
                return (tcp.lastError?.code, outcome)
            }
            exit(code == .tooManyFiles && outcome == .fault(.noConnection) ? 7 : 1)
        }
    }
}
