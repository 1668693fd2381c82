import CMosquitto
import Glibc

/// Why a broker was not reached, or did not take a message.
enum MQTTFault: Error, Hashable {
    /// The settings cannot work: a file is missing, the broker refuses who we are.
    case configuration(String)
    /// It may work later.
    case unavailable(String)
    /// The connection ended while messages were under way.
    case dropped(String)
    /// The broker, or the library, takes no message so large.
    case tooLarge(String)
    /// The broker refuses this message (MQTT 5 only).
    case refused(String)

    var words: String {
        switch self {
        case .configuration(let words), .unavailable(let words), .dropped(let words), .tooLarge(let words), .refused(let words): words
        }
    }

    /// What libmosquitto's number says, with what its log said before.
    static func library(_ code: Int32, log: String?, host: String) -> MQTTFault {
        if let log, let sentence = tls(log, host) { return .unavailable(sentence) }
        switch UInt32(bitPattern: code) {
        case UInt32(bitPattern: MOSQ_ERR_EAI.rawValue): return .unavailable("the host name cannot be resolved")
        case UInt32(bitPattern: MOSQ_ERR_TLS.rawValue):
            return .unavailable("the TLS handshake failed; check that the port speaks TLS\(log.map { " (\($0))" } ?? "")")
        case UInt32(bitPattern: MOSQ_ERR_PAYLOAD_SIZE.rawValue), UInt32(bitPattern: MOSQ_ERR_OVERSIZE_PACKET.rawValue):
            return .tooLarge("the message is larger than the broker takes")
        case UInt32(bitPattern: MOSQ_ERR_CONN_LOST.rawValue), UInt32(bitPattern: MOSQ_ERR_NO_CONN.rawValue):
            return .dropped("the broker closed the connection")
        case UInt32(bitPattern: MOSQ_ERR_ERRNO.rawValue):
            return .unavailable(log ?? "the connection failed")
        default: return .unavailable(String(cString: mosquitto_strerror(code)))
        }
    }

    /// Why a connection could not be opened. The library begins the handshake, and may end it, before it returns to us.
    static func opening(_ code: Int32, errno: Int32, log: String?, tls: MQTTSettings.TLS?, host: String) -> MQTTFault {
        guard code == MOSQ_ERR_ERRNO.rawValue else { return .library(code, log: log, host: host) }
        // The library's word for all that TLS did not bear; a broker that does not want us may be as quick as that.
        if errno == EPROTO, let tls { return .notLetIn(tls, log: log, host: host) }
        if errno == ECONNREFUSED { return .unavailable("connection refused: nothing listens at that port") }
        return .unavailable(String(cString: strerror(errno)).lowercased())
    }

    /// The TLS connection ended before the broker's greeting. TLS 1.3 says no to a certificate, or to none, only after the handshake; the
    /// library does not pass it on, and when the broker hangs up before our first packet is out, the broker's reason is lost.
    static func notLetIn(_ tls: MQTTSettings.TLS, log: String?, host: String) -> MQTTFault {
        if let log, let sentence = MQTTFault.tls(log, host) { return .unavailable(sentence) }
        return .unavailable(
            "the broker ended the TLS connection at once; it may "
                + (tls.certificate == nil ? "want a TLS client certificate" : "not trust our TLS client certificate"))
    }

    /// The same sentences as the HTTP outputs have, from OpenSSL's words in the log.
    static func tls(_ log: String, _ host: String) -> String? {
        let marks = [
            (
                "certificate verify failed",
                "the broker's TLS certificate cannot be verified: unknown issuer, out of date, or our clock is wrong"
            ),
            ("host name verification failed", "the broker's TLS certificate is for another host name than \(host)"),
            ("wrong version number", "the broker does not speak TLS at this port; check the output's url"),
            ("unexpected eof", "the broker ended the TLS handshake; check that the port speaks TLS"),
            ("packet length too long", "the broker does not speak TLS at this port; check the output's url"),
            ("certificate required", "the broker wants a TLS client certificate"),
            ("unknown ca", "the broker does not trust our TLS certificate"),
            ("key values mismatch", "cert_file and key_file do not belong together"),
            ("certificate expired", "the broker says our TLS certificate is out of date"),
        ]
        return marks.first { log.lowercased().contains($0.0) }?.1
    }

    /// The answer to CONNECT, when it is no.
    static func refusal(_ code: Int32, _ version: MQTTSettings.Version) -> MQTTFault {
        let words: String
        switch version {
        case .v5: words = String(cString: mosquitto_reason_string(code))
        case .v311: words = String(cString: mosquitto_connack_string(code))
        }
        let sentence = "the broker refuses the connection: \(words.lowercased())"
        switch (version, code) {
        // Unavailable, busy, quota, rate.
        case (.v311, 3), (.v5, 0x88), (.v5, 0x89), (.v5, 0x97), (.v5, 0x9F), (.v5, 0x80), (.v5, 0x83): return .unavailable(sentence)
        case (.v311, 1), (.v5, 0x84): return .configuration("\(sentence); check the output's version")
        case (.v311, 2), (.v5, 0x85): return .configuration("\(sentence); check the output's client_id")
        default: return .configuration("\(sentence); check the output's username and password_file")
        }
    }

    /// PUBACK's reason code of MQTT 5, when it is 0x80 or more.
    static func refusal(ofMessage reason: Int32) -> MQTTFault {
        let sentence = "the broker refuses the message: \(String(cString: mosquitto_reason_string(reason)).lowercased())"
        switch reason {
        case 0x87: return .configuration("\(sentence); check what the user may publish to")
        case 0x91, 0x97: return .unavailable(sentence)
        default: return .refused(sentence)
        }
    }
}
