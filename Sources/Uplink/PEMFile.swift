import FoundationEssentials
import Glibc

/// Looks into the files of certificates and keys before a library does, whose complaints do not name the file.
enum PEMFile {
    /// What is wrong with it; the sentence names it.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Bytes of a file that are read: authorities of a whole system are a quarter of that.
    static let sizeLimit = 1 << 20

    static func checkCertificates(_ path: String) throws(Failure) {
        let text = try text(path)
        guard text.contains("-----BEGIN CERTIFICATE-----") || text.contains("-----BEGIN TRUSTED CERTIFICATE-----") else {
            throw Failure(description: "\(path) holds no certificate in PEM form")
        }
    }

    static func checkKey(_ path: String) throws(Failure) {
        let text = try text(path)
        guard text.contains("PRIVATE KEY-----"), !text.contains("ENCRYPTED") else {
            throw Failure(description: "\(path) holds no private key in PEM form without a passphrase")
        }
    }

    private static func text(_ path: String) throws(Failure) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Failure(description: "\(path) cannot be read: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: sizeLimit)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress?.advanced(by: count), $0.count - count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw Failure(description: "\(path) cannot be read: \(String(cString: strerror(errno)))") }
            if got == 0 { break }
            count += got
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
