import Crypto
import FoundationEssentials
import Metering

/// The password of a device at an Azure IoT hub: a shared access signature, made anew for each connection. The hub ends the connection
/// when it runs out, and the next one brings its own.
///
///     SharedAccessSignature sr=<resource>&sig=<base64 HMAC-SHA256 of "<resource>\n<expiry>">&se=<expiry>
///
/// `resource` is `<hub>/devices/<device>`, percent-encoded; `expiry` seconds since 1970; the key of the HMAC is the device's, from base64.
/// - Source: Microsoft, "Control access to IoT Hub by using shared access signatures", section "SAS token structure".
enum AzureToken {
    static let lifetime: Duration = .seconds(86_400)

    /// - Returns: nil when the key is no base64.
    static func make(hub: String, device: String, key: String, now: Timestamp) -> String? {
        guard let secret = Data(base64Encoded: key), !secret.isEmpty else { return nil }
        let resource = percentEncoded("\(hub)/devices/\(device)")
        let expiry = now.milliseconds / 1000 + lifetime.milliseconds / 1000
        let code = HMAC<SHA256>.authenticationCode(for: Data("\(resource)\n\(expiry)".utf8), using: SymmetricKey(data: secret))
        let signature = percentEncoded(Data(code).base64EncodedString())
        return "SharedAccessSignature sr=\(resource)&sig=\(signature)&se=\(expiry)"
    }

    static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { encoded, byte in
            let character = Character(UnicodeScalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
                encoded.append(character)
            } else {
                encoded += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
