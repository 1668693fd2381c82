import Glibc
import Testing

@testable import Fieldbus

@Suite struct ExclusivePortTests {
    @Test func thePortOfAContainerIsNotTakenForOurs() {
        let table = """
            1: POSIX  ADVISORY  WRITE 17 00:18:3 0 EOF
            2: FLOCK  ADVISORY  WRITE 4711 00:2a:3 0 EOF
            3: FLOCK  ADVISORY  WRITE 815 00:18:3 0 EOF
            3: -> FLOCK  ADVISORY  WRITE 99 00:18:3 0 EOF
            4: FLOCK  ADVISORY  WRITE 12 103:1f42:77 0 EOF
            """
        #expect(ExclusivePort.process(locking: 3, onDevice: 0x18, in: table) == 815)
        #expect(ExclusivePort.process(locking: 3, onDevice: 0x2A, in: table) == 4711)
        #expect(ExclusivePort.process(locking: 4, onDevice: 0x18, in: table) == nil)
        // makedev(0x103, 0x1f42)
        #expect(ExclusivePort.process(locking: 77, onDevice: 0x1F1_0342, in: table) == 12)
    }

    /// The packaged service sees no table of locks, and is refused devices by its unit and not by their mode.
    @Test func aConfinedDaemonSaysWhereMoreIsToldOfAPortItCannotHave() {
        #expect(
            BusError.system(EBUSY, on: "/dev/ttyUSB0").sentence
                == "/dev/ttyUSB0 is in use by another program (sudo meterctl doctor names the one that has locked it); "
                + "stop it, or give this bus another port")
        #expect(
            BusError.system(EPERM, on: "/dev/ttySC0").sentence.hasSuffix("sudo meterctl doctor names the DeviceAllow= that its unit lacks"))
        #expect(BusError.system(EACCES, on: "/dev/ttySC0").sentence.hasSuffix("add the user to group dialout"))
    }
}
