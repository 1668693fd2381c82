// Writes a journal as it would be after hours without a receiver: for Benchmarks/drain.
//
//   backlog DIRECTORY PROFILE DEVICES HOURS      one poll a device and second, 40 float32 values each, a commit every 5 s
//
// The profile's file is that of metersim's load: 40 float32 values in holding registers from 0 on.

import Glibc
import Host
import Logging
import Metering
import Store

let arguments = CommandLine.arguments
guard arguments.count == 5, let devices = Int(arguments[3]), let hours = Double(arguments[4]), devices > 0, hours > 0,
    let file = fopen(arguments[2], "r")
else {
    print("usage: backlog DIRECTORY PROFILE DEVICES HOURS")
    exit(64)
}
var bytes = [UInt8](repeating: 0, count: 1 << 20)
bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
fclose(file)
let profileText = String(decoding: bytes, as: UTF8.self)

let clocks = SystemTime()
let store = try await Store.open(
    directory: arguments[1], outputs: ["park"], time: clocks, limits: StoreLimits(sizeLimit: 1 << 40),
    logger: Logger(label: "backlog") { _ in SwiftLogNoOpLogHandler() })
var entries: [CatalogID] = []
for device in 1...devices {
    entries.append(
        try await store.adopt(
            CatalogEntry(device: "d\(device)", unit: 1, role: .load, profile: "load", profileText: profileText)))
}

let block = Block(.holding, 0, count: 80)
var noise: UInt64 = 88_172_645_463_325_252
let rounds = Int(hours * 3600)
let begin = (wall: clocks.wall().milliseconds - Int64(rounds) * 1000, uptime: clocks.uptime().nanoseconds - Int64(rounds) * 1_000_000_000)
var group: [CountedPoll] = []
for round in 0..<rounds {
    for (device, entry) in entries.enumerated() {
        var words: [UInt16] = []
        words.reserveCapacity(80)
        for point in 0..<40 {
            noise ^= noise << 13
            noise ^= noise >> 7
            noise ^= noise << 17
            // About 230, and a thousandth of noise, as a meter has.
            let value = Float(230 + point) * (1 + Float(noise % 2001) / 1_000_000 - 0.001)
            words.append(UInt16(value.bitPattern >> 16))
            words.append(UInt16(truncatingIfNeeded: value.bitPattern))
        }
        let offset = Int64(device) * 1000 / Int64(devices)
        group.append(
            CountedPoll(
                poll: Poll(
                    entry: entry, time: Timestamp(milliseconds: begin.wall + Int64(round) * 1000 + offset),
                    uptime: Uptime(nanoseconds: begin.uptime + (Int64(round) * 1000 + offset) * 1_000_000), clock: .synchronized,
                    answers: [BlockAnswer(block: block, outcome: .words(words))]),
                readings: 40))
    }
    if round % 5 == 4 || round == rounds - 1 {
        _ = try await store.commit(group)
        group.removeAll(keepingCapacity: true)
    }
}
let state = await store.journalState()
print("\(state.polls) polls, \(state.readings) values, \(state.bytes) bytes")
await store.close()
