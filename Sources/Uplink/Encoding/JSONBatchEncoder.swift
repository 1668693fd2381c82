/// Writes batches as one JSON object each; docs/http-output.md says what each field means.
package struct JSONBatchEncoder: BatchEncoder {
    private var writer = JSONRecordWriter()

    package init() {}

    func overhead(of batch: Batch) -> Int {
        var head: [UInt8] = []
        writeHead(batch, to: &head)
        return head.count + 2
    }

    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8]) {
        if first { bytes.append(UInt8(ascii: "{")) } else { bytes.write(",{") }
        writer.write(record, to: &bytes)
        bytes.append(UInt8(ascii: "}"))
    }

    func frame(_ records: [UInt8], of batch: Batch) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(records.count + 512)
        writeHead(batch, to: &bytes)
        bytes.append(contentsOf: records)
        bytes.write("]}")
        return bytes
    }

    private func writeHead(_ batch: Batch, to bytes: inout [UInt8]) {
        bytes.write("{\"version\":1,\"gateway\":")
        bytes.write(string: batch.gateway)
        if let site = batch.site {
            bytes.write(",\"site\":")
            bytes.write(string: site)
        }
        bytes.write(",\"batch\":{\"id\":")
        bytes.write(string: batch.id)
        bytes.write(",\"output\":")
        bytes.write(string: batch.output)
        bytes.write(",\"first\":")
        bytes.write(integer: batch.first)
        bytes.write(",\"last\":")
        bytes.write(integer: batch.last)
        if batch.historical {
            bytes.write(",\"historical\":true},\"readings\":[")
        } else {
            bytes.write(",\"historical\":false},\"readings\":[")
        }
    }
}
