// Evidence: how a record is proven unchanged.
//
// It touches no file, no database and no network: bytes in, proofs out. The sealed log, its checkpoints and the verifier will live here.

import Crypto

/// The SHA-256 of some bytes, and what makes it comparable by eye.
package struct Fingerprint: Hashable, Sendable {
    /// 32 bytes.
    package let bytes: [UInt8]

    /// - Source: FIPS 180-4.
    package init(of content: some Sequence<UInt8>) {
        bytes = Array(SHA256.hash(data: Array(content)))
    }

    /// 64 lower-case hexadecimal digits.
    package var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
