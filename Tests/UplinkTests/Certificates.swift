import TestSupport
import Testing

/// Certificates made for one test, in a folder of its own: `NAME.pem` with `NAME.key`.
struct Certificates {
    let folder: String

    private func openssl(_ line: String) async throws {
        let program = try #require(RealServer.path("openssl"))
        let made = try await runToEnd(program, line.split(separator: " ").map { String($0.replacing("FOLDER", with: folder)) })
        guard made.exit == .code(0) else { throw ChildProcess.SpawnError(description: made.errors) }
    }

    func authority(_ name: String) async throws {
        try await openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(name) -keyout FOLDER/\(name).key -out FOLDER/\(name).pem"
        )
    }

    /// A certificate that is its own authority.
    func own(_ name: String, for host: String) async throws {
        try await openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(name) -addext subjectAltName=\(host) -keyout FOLDER/\(name).key -out FOLDER/\(name).pem"
        )
    }

    /// - Parameter days: negative for one that is out of date.
    func certificate(_ name: String, by authority: String, for host: String, days: Int = 2) async throws {
        try TextFile.write("subjectAltName=\(host)\n", to: folder + "/\(name).ext")
        try await openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=\(name) -keyout FOLDER/\(name).key -out FOLDER/\(name).csr")
        try await openssl(
            "x509 -req -in FOLDER/\(name).csr -CA FOLDER/\(authority).pem -CAkey FOLDER/\(authority).key -CAcreateserial -days \(days) -extfile FOLDER/\(name).ext -out FOLDER/\(name).pem"
        )
    }

    /// The same key, behind a passphrase.
    func lock(_ name: String, as locked: String) async throws {
        try await openssl("pkey -in FOLDER/\(name).key -aes256 -passout pass:secret -out FOLDER/\(locked).key")
    }
}
