import Host
import Metering
import Testing

@testable import Uplink

@Suite struct JSONBatchEncoderTests {
    private func text(_ batch: Batch) -> String {
        var encoder = JSONBatchEncoder()
        return String(decoding: encoder.encode(batch), as: UTF8.self)
    }

    private func batch(_ readings: [Reading], quantities: [Quantity], device: String = "main") -> Batch {
        let points = quantities.map { PointDefinition(quantity: $0, block: Block(.input, 0, count: 1), encoding: .uint16) }
        var entry = Plant.entry
        entry.device = device
        let source = RecordSource(entry: entry, decoder: ReadingDecoder(profile: Plant.profile(points)))
        let record = BatchRecord(
            seq: 1041, time: Timestamp(milliseconds: 1_795_459_200_123), clock: .synchronized, source: source, readings: readings)
        return Batch(
            gateway: "gw-017", site: "park-2/factory-12", output: "park", journalID: "2f6e", first: 1041, last: 1041, historical: false,
            records: [record])
    }

    private func number(_ mantissa: Int64, _ exponent: Int) -> Value {
        .number(ExactDecimal(mantissa: mantissa, exponent: exponent) ?? .zero)
    }

    @Test func theBatchIsByteForByteTheContract() {
        let readings = [
            Reading(point: 0, value: number(12_345_600, 0)),
            Reading(point: 1, value: number(3981, -1)),
            Reading(point: 2, value: number(2304, -1), quality: .outOfRange),  // usable, but questionable: in both objects
            Reading(point: 3, value: nil, quality: .noCommunication),
            Reading(point: 4, value: .text("SDM-\"7\"")),
        ]
        let ids = ["energy_active_import", "power_active", "voltage_l1", "voltage_l2", "device_serial"]
        let expected = [
            #"{"version":1,"gateway":"gw-017","site":"park-2/factory-12","#,  // the frame: who speaks
            #""batch":{"id":"gw-017/2f6e/1041-1041","output":"park","first":1041,"last":1041,"historical":false},"#,  // the range
            #""readings":[{"seq":1041,"device":"main","time":1795459200123,"clock":"S","#,  // one poll of one device
            #""values":{"energy_active_import":12345600,"power_active":398.1,"voltage_l1":230.4},"#,  // numbers, exact
            #""texts":{"device_serial":"SDM-\"7\""},"#,  // only when there are any
            #""quality":{"voltage_l1":8,"voltage_l2":1}}]}"#,  // every point that is not good, with or without a value
        ].joined()
        #expect(text(batch(readings, quantities: ids.map(Plant.quantity))) == expected)
    }

    @Test func withoutSiteTextsAndFaultsTheirKeysAreAbsent() {
        var batch = batch([Reading(point: 0, value: number(302, -1))], quantities: [Plant.quantity("voltage_l1")])
        batch.site = nil
        batch.historical = true
        #expect(
            text(batch)
                == #"{"version":1,"gateway":"gw-017","batch":{"id":"gw-017/2f6e/1041-1041","output":"park","#
                + #""first":1041,"last":1041,"historical":true},"#
                + #""readings":[{"seq":1041,"device":"main","time":1795459200123,"clock":"S","values":{"voltage_l1":30.2}}]}"#)
    }

    @Test func threeHundredAndTwoTenthsIsThirtyPointTwo() {
        // The word 302 with factor 0.1, through the decoder.
        let answers = [BlockAnswer(block: Block(.input, 0, count: 3), outcome: .words([302, 0, 7]))]
        let record = BatchRecord(
            seq: 1, time: Timestamp(milliseconds: 0), clock: .unknown, source: Plant.source, readings: Plant.decoder.decode(answers))
        var batch = Plant.batch(1...1)
        batch.records = [record]
        #expect(text(batch).contains(#""clock":"U","values":{"voltage_l1":30.2,"energy_active_import":7}}"#))
    }

    @Test func aFailedPollHasNoValuesButSaysWhy() {
        let readings = Plant.decoder.decode([BlockAnswer(block: Block(.input, 0, count: 3), outcome: .fault(.timeout))])
        var batch = Plant.batch(1...1)
        batch.records[0].readings = readings
        #expect(text(batch).hasSuffix(#""values":{},"quality":{"voltage_l1":1,"energy_active_import":1}}]}"#))
    }

    @Test func aQuantityTwiceInARecordIsOneKeyWithTheValueThatIsThere() {
        let twice = [Plant.quantity("voltage_l1"), Plant.quantity("voltage_l1")]
        let readings = [Reading(point: 0, value: nil, quality: .badValue), Reading(point: 1, value: number(5, 0))]
        #expect(text(batch(readings, quantities: twice)).hasSuffix(#""values":{"voltage_l1":5}}]}"#))
        let both = [Reading(point: 0, value: number(4, 0)), Reading(point: 1, value: number(5, 0), quality: .stuck)]
        #expect(text(batch(both, quantities: twice)).hasSuffix(#""values":{"voltage_l1":4}}]}"#))
    }

    @Test func aPointTheProfileDoesNotHaveIsLeftOut() {
        let readings = [Reading(point: 7, value: number(1, 0)), Reading(point: 0, value: number(2, 0)), Reading(point: -1, value: nil)]
        #expect(text(batch(readings, quantities: [Plant.quantity("voltage_l1")])).hasSuffix(#""values":{"voltage_l1":2}}]}"#))
    }

    @Test func stringsAreEscapedAsJSONAsks() {
        var bytes: [UInt8] = []
        bytes.write(string: "a\"b\\c\n\r\t\u{0}\u{1f}\u{7f}é😀")
        // Quote, backslash, the three short forms, NUL and U+001F as \u; DEL and all beyond ASCII stay.
        #expect(String(decoding: bytes, as: UTF8.self) == #""a\"b\\c\n\r\t\u0000\u001f"# + "\u{7f}é😀\"")
    }

    @Test(arguments: [Int64.min, -1, 0, 9, 10, 1_795_459_200_123, .max])
    func integersAreWrittenWhole(value: Int64) {
        var bytes: [UInt8] = []
        bytes.write(integer: value)
        #expect(String(decoding: bytes, as: UTF8.self) == String(value))
    }

    @Test func theLongestPrefixThatFitsIsTakenAndAtLeastOneRecord() {
        var encoder = JSONBatchEncoder()
        let batch = Plant.batch(1...100)
        let whole = encoder.encode(batch).count
        #expect(encoder.records(of: batch, limit: whole).count == 100)
        #expect(encoder.records(of: batch, limit: whole - 1).count == 99)
        #expect(encoder.records(of: batch, limit: 1).count == 1)
        for limit in stride(from: 400, to: whole, by: 97) {
            let (bytes, count) = encoder.records(of: batch, limit: limit)
            var prefix = batch
            prefix.records = Array(batch.records.prefix(count))
            prefix.last = Int64(count)
            #expect(encoder.frame(bytes, of: prefix) == encoder.encode(prefix))
            #expect(encoder.encode(prefix).count <= limit)
        }
    }

    @Test func gzipGivesTheSameBytesBack() throws {
        var encoder = JSONBatchEncoder()
        let body = encoder.encode(Plant.batch(1...500))
        let packed = Deflate.compress(body, format: .gzip)
        #expect(packed.count < body.count / 5)
        let back = try Deflate.expand(packed, format: .gzip, limit: 1 << 20)
        #expect(back == body)
    }
}
