import CHost

/// zlib: gzip for the wire, bare deflate for what is stored.
package enum Deflate {
    package enum Format: Sendable {
        /// A gzip member, as `Content-Encoding: gzip` wants it.
        case gzip
        /// A bare deflate stream, no header and no checksum.
        case raw

        var windowBits: Int32 {
            switch self {
            case .gzip: 15 + 16
            case .raw: -15
            }
        }
    }

    package enum Failure: Error, Hashable {
        /// The bytes are no such stream, or end early.
        case corrupt
        /// What comes out would be longer than the limit.
        case tooLong(limit: Int)
    }

    /// - Parameter level: 1 (fast) to 9 (small).
    package static func compress(_ bytes: [UInt8], format: Format, level: Int32 = 1) -> [UInt8] {
        var stream = z_stream()
        let started = chost_deflate_init(&stream, level, format.windowBits)
        precondition(started == Z_OK, "deflateInit2 failed with \(started): level out of range, or out of memory")
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, UInt(bytes.count)))
        return bytes.withUnsafeBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: bound) { output, count in
                stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                let end = deflate(&stream, Z_FINISH)
                precondition(end == Z_STREAM_END, "deflate ended with \(end) although deflateBound was given")
                count = Int(stream.total_out)
            }
        }
    }

    /// - Parameter limit: more than this many bytes is an error, so that a small hostile input cannot fill the memory.
    package static func expand(_ bytes: [UInt8], format: Format, limit: Int) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        guard chost_inflate_init(&stream, format.windowBits) == Z_OK else { throw .corrupt }
        defer { inflateEnd(&stream) }
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(max(limit, 1), 64 * 1024))
        var status = Z_OK
        var tooLong = false
        bytes.withUnsafeBufferPointer { input in
            stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.avail_in = UInt32(input.count)
            while status == Z_OK {
                let produced = chunk.withUnsafeMutableBufferPointer { output in
                    stream.next_out = output.baseAddress
                    stream.avail_out = UInt32(output.count)
                    status = inflate(&stream, Z_NO_FLUSH)
                    return output.count - Int(stream.avail_out)
                }
                result.append(contentsOf: chunk[..<produced])
                if result.count > limit {
                    tooLong = true
                    return
                }
                if produced == 0, status == Z_OK { return }
            }
        }
        if tooLong { throw .tooLong(limit: limit) }
        guard status == Z_STREAM_END else { throw .corrupt }
        return result
    }
}
