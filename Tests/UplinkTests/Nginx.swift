import Glibc
import TestSupport
import Testing

/// nginx with TLS in front of nothing: one location that answers by itself.
struct Nginx {
    /// The path of a certificate and its key without `.pem` and `.key`.
    var certificate: String
    /// PEM file of the authority whose clients are let in; nil: all are.
    var clients: String?
    /// What stands in `location /`.
    var location: String

    func run(_ body: (UInt16) async throws -> Void) async throws {
        let program = try #require(RealServer.path("nginx"))
        try await RealServer.run(program, ready: nil) { port, own in
            let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(own)/\($0);" }.joined(separator: " ")
            let text = """
                daemon off; \(getuid() == 0 ? "user root;" : "") pid \(own)/nginx.pid; error_log \(own)/error.log; worker_processes 1;
                events {}
                http {
                  access_log off; \(places)
                  server {
                    listen 127.0.0.1:\(port) ssl;
                    ssl_certificate \(certificate).pem; ssl_certificate_key \(certificate).key;
                    \(clients.map { "ssl_client_certificate \($0); ssl_verify_client on;" } ?? "")
                    location / { \(location) }
                  }
                }
                """
            try TextFile.write(text, to: own + "/nginx.conf")
            return ["-c", own + "/nginx.conf", "-e", own + "/error.log"]
        } _: {
            try await body($0.port)
        }
    }
}
