import FoundationEssentials
import Glibc
import Host
import TestSupport
import Testing

/// An export takes the place of the file it was told, and of nothing else.
@Suite(.timeLimit(.minutes(10))) struct JournalExportTests {
    private static let rows = "time,device,quantity,value,unit,quality,clock,seq\n"

    private func names(_ folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }

    @Test func aFileOfAnotherNameStaysAsItIs() async throws {
        let folder = try TemporaryFolder.make("export")
        defer { TemporaryFolder.remove(folder) }
        let daemon = try CannedExport(JournalExportTests.rows, end: .whole)
        defer { daemon.stop() }
        try TextFile.write("what an output writes", to: folder + "/held.csv.part")
        for text in ["", "an older one"] {
            if !text.isEmpty { try TextFile.write(text, to: folder + "/held.csv") }
            let run = try await meterctl(["journal", "export", "-o", folder + "/held.csv", "--host", daemon.host])
            #expect(run.status == 0 && run.error.contains("written to \(folder)/held.csv"), "\(run.error)")
            #expect(TextFile.content(folder + "/held.csv") == JournalExportTests.rows)
        }
        #expect(TextFile.content(folder + "/held.csv.part") == "what an output writes")
        #expect(try names(folder) == ["held.csv", "held.csv.part"])
    }

    /// A pipe here, since nobody's device is at stake.
    @Test func whatIsNoFileIsWrittenToAndStays() async throws {
        let folder = try TemporaryFolder.make("export")
        defer { TemporaryFolder.remove(folder) }
        let daemon = try CannedExport(JournalExportTests.rows, end: .whole)
        defer { daemon.stop() }
        let pipe = folder + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let reader = open(pipe, O_RDWR | O_NONBLOCK)
        defer { close(reader) }
        let run = try await meterctl(["journal", "export", "-o", pipe, "--host", daemon.host])
        #expect(run.status == 0, "\(run.error)")
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(reader, &bytes, bytes.count)
        #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == JournalExportTests.rows)
        #expect(try names(folder) == ["pipe"])
        let full = try await meterctl(["journal", "export", "-o", folder, "--host", daemon.host])
        #expect(full.status == 1 && full.error.contains("\(folder) cannot be written: Is a directory"), "\(full.error)")
    }

    @Test func aLinkIsFollowed() async throws {
        let folder = try TemporaryFolder.make("export")
        defer { TemporaryFolder.remove(folder) }
        let daemon = try CannedExport(JournalExportTests.rows, end: .whole)
        defer { daemon.stop() }
        try FileManager.default.createDirectory(atPath: folder + "/disk", withIntermediateDirectories: false)
        try TextFile.write("an older one", to: folder + "/disk/all.csv")
        #expect(symlink("disk/all.csv", folder + "/link.csv") == 0)
        let run = try await meterctl(["journal", "export", "-o", folder + "/link.csv", "--host", daemon.host])
        #expect(run.status == 0, "\(run.error)")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link.csv") == "disk/all.csv")
        #expect(TextFile.content(folder + "/disk/all.csv") == JournalExportTests.rows)
        unlink(folder + "/disk/all.csv")
        let nowhere = try await meterctl(["journal", "export", "-o", folder + "/link.csv", "--host", daemon.host])
        #expect(nowhere.status == 1 && nowhere.error.contains("is a link to something that is not there"), "\(nowhere.error)")
        #expect(try names(folder) == ["disk", "link.csv"] && names(folder + "/disk").isEmpty)
    }

    @Test func anExportThatTheDaemonBreaksOffSaysSoAndLeavesTheOlderFile() async throws {
        let folder = try TemporaryFolder.make("export")
        defer { TemporaryFolder.remove(folder) }
        let daemon = try CannedExport(JournalExportTests.rows, end: .brokenOff)
        defer { daemon.stop() }
        try TextFile.write("an older one", to: folder + "/all.csv")
        let run = try await meterctl(["journal", "export", "-o", folder + "/all.csv", "--host", daemon.host])
        #expect(run.status == 1)
        #expect(run.error.contains("the answer broke off: meterd ended or failed while it gave it; run it again"), "\(run.error)")
        #expect(TextFile.content(folder + "/all.csv") == "an older one")
        #expect(try names(folder) == ["all.csv"])
    }

    @Test func anInterruptedExportLeavesNothingBehind() async throws {
        let folder = try TemporaryFolder.make("export")
        defer { TemporaryFolder.remove(folder) }
        let daemon = try CannedExport(JournalExportTests.rows, end: .never)
        defer { daemon.stop() }
        let export = try ChildProcess("meterctl", ["journal", "export", "-o", folder + "/all.csv", "--host", daemon.host])
        while try names(folder).isEmpty, export.poll() == nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try names(folder) == [".all.csv.\(export.processID).tmp"], "\(export.errors)")
        export.signal(SIGINT)
        #expect(await export.exit() == .signal(SIGINT))
        #expect(try names(folder).isEmpty)
    }
}

/// A daemon that answers two questions, on loopback: what the journal keeps, and its export.
private final class CannedExport: Sendable {
    enum End { case whole, brokenOff, never }

    private static let journal = """
        {"journal_id":"0b5c","journal":{"first_seq":1,"last_seq":1,"polls":1,"readings":1,"bytes":4096,"lost_polls":0,"lost_readings":0},\
        "losses":[]}
        """
    let host: String
    private let listener: Int32

    init(_ text: String, end: End) throws {
        let port = freePort()
        host = "127.0.0.1:\(port)"
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        guard withLoopback(port, { bind(listener, $0, $1) }) == 0, listen(listener, 16) == 0 else {
            throw ChildProcess.SpawnError(description: "no port for the canned daemon: \(String(cString: strerror(errno)))")
        }
        let started = DetachedThread.start(name: "canned export") {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { break }
                CannedExport.answer(client, text, end)
                close(client)
            }
            close(listener)
        }
        guard started else { throw ChildProcess.SpawnError(description: "no thread for the canned daemon") }
    }

    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func answer(_ client: Int32, _ text: String, _ end: End) {
        var request: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !String(decoding: request, as: UTF8.self).contains("\r\n\r\n") {
            let count = read(client, &buffer, buffer.count)
            guard count > 0 else { return }
            request += buffer.prefix(count)
        }
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
        guard String(decoding: request, as: UTF8.self).hasPrefix("GET /v1/journal/export") else {
            return say("\(head)Content-Length: \(journal.utf8.count)\r\n\r\n\(journal)", to: client)
        }
        say("\(head)Transfer-Encoding: chunked\r\n\r\n\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n", to: client)
        switch end {
        case .whole: say("0\r\n\r\n", to: client)
        case .brokenOff: return
        case .never: while read(client, &buffer, buffer.count) > 0 {}
        }
    }

    private static func say(_ text: String, to client: Int32) {
        let bytes = Array(text.utf8)
        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
