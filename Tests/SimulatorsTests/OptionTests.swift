import Metering
import Testing

@testable import Simulators

@Suite struct OptionTests {
    @Test func faultsAreReadWithTheirTimes() throws {
        let fault = try FaultText("unit=3,fault=exception,code=6,after=10s,for=2m")
        #expect(fault.unit == 3 && fault.fault == .exception(6))
        let window = fault.window(from: Timestamp(milliseconds: 1000))
        #expect(window.from.milliseconds == 11_000 && window.until?.milliseconds == 131_000)
        #expect(!window.holds(unit: 3, at: Timestamp(milliseconds: 10_999)))
        #expect(window.holds(unit: 3, at: Timestamp(milliseconds: 11_000)))
        #expect(!window.holds(unit: 3, at: Timestamp(milliseconds: 131_000)))
        #expect(!window.holds(unit: 4, at: Timestamp(milliseconds: 20_000)))
        #expect(try FaultText("unit=all,fault=slow,delay=250ms").fault == .slow(.milliseconds(250)))
        #expect(try FaultText("unit=1,fault=wrong-length,length=truncated").fault == .wrongLength(.truncated))
    }

    @Test func everyFaultNameIsRead() throws {
        for name in Fault.names { _ = try FaultText("unit=1,fault=\(name)") }
    }

    @Test(arguments: [
        ("", "is not key=value"), ("fault=silent", "no unit"), ("unit=1", "no name"), ("unit=300,fault=silent", "0 to 255"),
        ("unit=1,fault=sulks", "sulks is not known; one of silent"), ("unit=1,fault=silent,after=soon", "after=soon is not a duration"),
        ("unit=1,fault=silent,code=3", "code=3 means nothing here"), ("unit=1,unit=2,fault=silent", "given twice"),
        ("unit=1,fault=exception,code=0", "1 to 255"), ("unit=1,fault=silent,for=99999999999999999999s", "not a duration"),
    ])
    func wrongFaultsAreToldInASentence(text: String, part: String) {
        let error = #expect(throws: SimulatorError.self) { try FaultText(text) }
        #expect(error?.text.contains(part) == true, "\(error?.text ?? "")")
        #expect(error?.code == .usage)
    }

    @Test(arguments: [
        "ok", "refuse", "hang", "429,retry-after=5000ms", "500", "503,times=2", "413,records=10", "413,bytes=65536", "413", "400,seq=7",
        "rejected,every=3", "rejected,seq=9", "garbage", "noise", "cut-before", "cut-after,times=1", "redirect,to=http://127.0.0.1:9/",
    ])
    func modesReadAsTheyAreWritten(text: String) throws {
        #expect(try SinkMode(text).description == text)
    }

    @Test(arguments: ["", "okay", "200", "rejected", "413,records=-1", "hang,retry-after=5s", "ok,times=0", "refuse,times=2", "times=3"])
    func wrongModesAreRefused(text: String) {
        #expect(throws: SimulatorError.self) { try SinkMode(text) }
    }

    @Test func wireTimeIsReadAsALinesFormatIsWritten() throws {
        #expect(try WireTime("9600") == WireTime())
        #expect(
            try WireTime("19200,format=8e1,turnaround=5ms") == WireTime(baud: 19_200, bitsPerCharacter: 11, turnaround: .milliseconds(5)))
        #expect(try WireTime("1200,format=7O2").bitsPerCharacter == 11)
    }

    @Test(arguments: [
        ("", "is not key=value"), ("format=8N1", "no baud rate"), ("fast", "is not 300 to 4000000"), ("9600,format=9N1", "format=9N1"),
        ("9600,turnaround=soon", "is not a duration"), ("9600,parity=even", "means nothing here"),
    ])
    func wrongWireTimesAreToldInASentence(text: String, part: String) {
        let error = #expect(throws: SimulatorError.self) { try WireTime(text) }
        #expect(error?.text.contains(part) == true, "\(error?.text ?? "")")
        #expect(error?.code == .usage)
    }

    @Test func crcIsTheOneOfModbus() {
        #expect(Framing.crc16("123456789".utf8) == 0x4B37)
    }
}
