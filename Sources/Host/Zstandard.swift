import CZstd

/// Zstandard (RFC 8878) for the wire: fewer bytes than gzip, and a third of its CPU time.
package enum Zstandard {
    package enum Failure: Error, Hashable {
        /// The bytes are no such frame, or end early.
        case corrupt
        /// What comes out would be longer than the limit.
        case tooLong(limit: Int)
    }

    /// One frame, as `Content-Encoding: zstd` wants it; its window is below the 8 MB that every receiver must take.
    ///
    /// - Parameter level: 1 (fast) to 9 (small).
    package static func compress(_ bytes: [UInt8], level: Int32 = 1) -> [UInt8] {
        let bound = ZSTD_compressBound(bytes.count)
        return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            count = ZSTD_compress(output.baseAddress, output.count, bytes, bytes.count, level)
            precondition(ZSTD_isError(count) == 0, "zstd failed although its bound was given: out of memory")
        }
    }

    /// - Parameter limit: more than this many bytes is an error, so that a small hostile input cannot fill the memory.
    package static func expand(_ bytes: [UInt8], limit: Int) throws(Failure) -> [UInt8] {
        guard let stream = ZSTD_createDCtx() else { throw .corrupt }
        defer { ZSTD_freeDCtx(stream) }
        ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, windowLog)
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(max(limit, 1), 64 * 1024))
        var input = ZSTD_inBuffer(src: nil, size: bytes.count, pos: 0)
        /// 0 at the end of a frame.
        var left = 1
        var produced = 0
        repeat {
            let isFine = bytes.withUnsafeBytes { source in
                chunk.withUnsafeMutableBytes { target in
                    input.src = source.baseAddress
                    var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                    left = ZSTD_decompressStream(stream, &output, &input)
                    produced = output.pos
                    return ZSTD_isError(left) == 0
                }
            }
            guard isFine else { throw .corrupt }
            result.append(contentsOf: chunk[..<produced])
            if result.count > limit { throw .tooLong(limit: limit) }
        } while left != 0 && (produced > 0 || input.pos < input.size)
        guard left == 0, input.pos == input.size else { throw .corrupt }
        return result
    }

    /// 8 MB, what RFC 8878 asks of every receiver.
    private static let windowLog: Int32 = 23
}
