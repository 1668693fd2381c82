import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Why no answer came, as a sentence. Built from a fixed list, so that no build path, URL or secret of a library's message gets in.
enum TransportFault {
    static func sentence(_ error: any Error, timeout: Duration) -> String {
        if error is CancellationError { return "stopped before an answer came" }
        if let error = error as? HTTPParserError {
            return error == .invalidEOFState ? cutShort : "what came back is not HTTP"
        }
        if let error = error as? HTTPClientError, let sentence = clientSentence(error, timeout) { return sentence }
        let text = String(describing: error)
        for (mark, sentence) in marks where text.contains(mark) { return sentence }
        return "the request failed (\(type(of: error)))"
    }

    /// True when no later attempt can do better: the URL itself is wrong.
    static func isConfigurationFault(_ error: any Error) -> Bool {
        guard let error = error as? HTTPClientError else { return false }
        if [HTTPClientError.invalidURL, .emptyHost, .emptyScheme, .missingSocketPath].contains(error) { return true }
        return error.shortDescription == "Unsupported scheme"
    }

    /// The receiver ended the connection over this request, by its will or by dying of it.
    static func isHangUp(_ error: any Error) -> Bool {
        if let error = error as? HTTPParserError { return error == .invalidEOFState }
        if let error = error as? HTTPClientError { return error == .remoteConnectionClosed || error == .uncleanShutdown }
        let text = String(describing: error)
        return ["errno: 104", "errno: 32", "inputClosed", "uncleanShutdown"].contains { text.contains($0) }
    }

    private static func clientSentence(_ error: HTTPClientError, _ timeout: Duration) -> String? {
        switch error {
        case .connectTimeout, .getConnectionFromPoolTimeout: "the connection was not made in time"
        case .deadlineExceeded, .readTimeout, .writeTimeout: noAnswer(timeout)
        case .tlsHandshakeTimeout: "the TLS handshake was not done in time"
        case .remoteConnectionClosed, .uncleanShutdown: cutShort
        case .proxyAuthenticationRequired: proxyWantsLogin
        case .cancelled, .requestStreamCancelled: "stopped before an answer came"
        case .alreadyShutdown: "the HTTP client is closed"
        case .invalidProxyResponse: "the proxy refuses the connection, or cannot make it; check the output's proxy and url"
        default: isConfigurationFault(error) ? "the output's url is not one that can be sent to (\(error.shortDescription))" : nil
        }
    }

    static let proxyWantsLogin = "the proxy wants a user name and password, which meterd does not send; check the output's proxy"
    private static let cutShort = "the connection was closed before the whole answer had come"

    static func noAnswer(_ timeout: Duration) -> String { "no answer within \(timeout.seconds) s" }

    /// Marks in the descriptions of NIO's and BoringSSL's errors, the telling ones first.
    private static let marks: [(String, String)] = [
        (
            "CERTIFICATE_VERIFY_FAILED",
            "the receiver's TLS certificate cannot be verified: unknown issuer, out of date, or our clock is wrong"
        ),
        ("failedToValidateHostname", "the receiver's TLS certificate is for another host name"),
        ("ailed to validate hostname", "the receiver's TLS certificate is for another host name"),
        ("WRONG_VERSION_NUMBER", "the receiver does not speak TLS at this port; check the output's url"),
        ("HTTP_REQUEST", "the receiver does not speak TLS at this port; check the output's url"),
        ("CERTIFICATE_REQUIRED", "the receiver wants a TLS client certificate"),
        ("CERTIFICATE_UNKNOWN", "the receiver does not trust our TLS certificate"),
        ("UNKNOWN_CA", "the receiver does not trust our TLS certificate"),
        ("failedToLoadPrivateKey", "cert_file and key_file do not belong together"),
        ("handshakeFailed", "the TLS handshake failed"),
        ("uncleanShutdown", cutShort),
        ("DNS error", "the host name cannot be resolved"),
        ("SocketAddressError", "the host name cannot be resolved"),
        ("errno: 111", "connection refused: nothing listens at that port"),
        ("Connection refused", "connection refused: nothing listens at that port"),
        ("errno: 113", "no route to the receiver's host"),
        ("errno: 101", "the network is unreachable"),
        ("errno: 110", "the connection was not made in time"),
        ("ConnectTimeoutError", "the connection was not made in time"),
        ("connectTimeout", "the connection was not made in time"),
        ("errno: 104", "the connection was reset before an answer came"),
        ("errno: 32", "the connection was closed while the request was being sent"),
        ("inputClosed", "the connection was closed before an answer came"),
        ("errno: 24", "too many files are open in this process"),
    ]
}
