import FoundationEssentials
import Metering
import Uplink

extension OutputReader {
    enum Preset: String, CaseIterable { case thingsboard, homeassistant, aws, azure }

    func mqtt(_ name: String?, _ timeout: Duration?) -> Configuration.Target? {
        let address = brokerAddress()
        let preset = table.choice("preset", of: Preset.self)
        let version = table.choice("version", of: MQTTSettings.Version.self)
        let clientID = table.string("client_id", example: "\"meterd-gw-017\"")
        if let clientID, clientID.isEmpty || clientID.utf8.count > 255 || clientID.utf8.contains(where: { $0 < 0x20 }) {
            table.problem("client_id", "must be 1 to 255 bytes of text")
        }
        let login = preset == .azure ? azureLogin(address?.host, clientID) : login(preset)
        let tls = tls(address?.secure)
        if preset == .aws || preset == .azure { checkCloud(preset, secure: address?.secure, tls: tls, login: login) }
        let keepAlive = table.duration("keep_alive", in: .seconds(5) ... .seconds(3600), example: "\"30s\"")
        let topic: String? =
            switch preset {
            case .thingsboard, .azure: nil
            case .aws: template("topic", mustName: [], places: ["gateway"])
            case .homeassistant, nil: template("topic", mustName: ["{gateway}", "{device}"])
            }
        let hasAvailability = preset != .thingsboard && preset != .azure
        let availability = hasAvailability ? template("availability_topic", mustName: ["{gateway}"]) : nil
        let discovery = preset == .homeassistant ? template("discovery_prefix", mustName: []) ?? "homeassistant" : nil
        guard let address, name != nil else { return nil }
        // Without an id of its own the output is named after the gateway, which another file may name.
        var settings = MQTTSettings(host: address.host, port: address.port, clientID: clientID ?? "", login: login, tls: tls)
        settings.version = version ?? (preset == .thingsboard || preset == .azure ? .v311 : .v5)
        if let keepAlive { settings.keepAlive = keepAlive }
        if let timeout { settings.timeout = timeout }
        if let topic { settings.layout = .records(topic: topic) }
        // A retained message, or a last will that is one, needs a right of its own at AWS, and ends the connection without.
        if preset == .aws || preset == .azure { settings.availability = nil }
        if let availability { settings.availability = availability.isEmpty ? nil : availability }
        settings.discovery = discovery
        switch preset {
        case .thingsboard: (settings.layout, settings.availability) = (.thingsboard, nil)
        case .aws: settings.layout = .batches(topic: topic ?? MQTTSettings.awsTopic, bytes: MQTTSettings.awsBytes)
        case .azure:
            settings.layout = .batches(topic: MQTTSettings.azureTopic(device: settings.clientID), bytes: MQTTSettings.azureBytes)
        case .homeassistant, nil: break
        }
        return .mqtt(settings)
    }

    /// What two outputs at one broker cannot share: a client id is one connection, and they would throw each other out; and by the topic of
    /// one's availability the other would be said to be gone with it. All else works meanwhile.
    static func checkBrokers(_ outputs: [(output: Configuration.Output, at: TomlReader)], gateway: String) {
        var first: [String: String] = [:]
        for (output, table) in outputs {
            guard case .mqtt(let settings) = output.target else { continue }
            let broker = "\(settings.host.lowercased()):\(settings.port)"
            func claim(_ key: String, _ value: String, _ reason: String) {
                let earlier = first.updateValue(output.name, forKey: "\(broker) \(key) \(value)")
                if let earlier { table.problem(key, "is that of output \"\(earlier)\" at the same broker, \(reason)", isFatal: false) }
            }
            let client = settings.named(Gateway.clientID(of: output.name, gateway: gateway)).clientID
            claim("client_id", client, "which lets in one at a time; each needs its own")
            if let topic = settings.availability {
                claim("availability_topic", topic, "and would say offline when that one goes; name another, or \"\" for none")
            }
        }
    }

    /// `mqtt://host[:1883]` or `mqtts://host[:8883]`.
    private func brokerAddress() -> (host: String, port: UInt16, secure: Bool)? {
        let example = "\"mqtts://broker.example.org:8883\""
        guard let text = table.string("url", required: true, example: example),
            holdsNoSecret(text, "username with password_file, or token_file")
        else { return nil }
        guard let url = URL(string: text), let scheme = url.scheme?.lowercased(), ["mqtt", "mqtts"].contains(scheme), let host = url.host(),
            !host.isEmpty, !text.contains(" "), url.path.isEmpty || url.path == "/", url.query() == nil
        else {
            table.problem("url", Redaction.quotation(text) + "is no mqtt:// or mqtts:// address; write one such as \(example)")
            return nil
        }
        let secure = scheme == "mqtts"
        guard let port = UInt16(exactly: url.port ?? (secure ? 8883 : 1883)), port > 0 else {
            table.problem("url", Redaction.quotation(text) + "has no port between 1 and 65535")
            return nil
        }
        // libmosquitto takes an IPv6 address without its brackets.
        return (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host, port, secure)
    }

    private func login(_ preset: Preset?) -> MQTTSettings.Login? {
        let user = table.string("username", example: "\"meterd\"")
        let password = secret("password_file")
        if preset == .thingsboard {
            let token = secret("token_file")
            if token != nil, user != nil { table.problem("token_file", "is itself the user name; remove username") }
            if let token { return MQTTSettings.Login(user: .token(token), password: password) }
        }
        if user == nil, password != nil { table.problem("password_file", "goes with a username; add username") }
        return user.map { MQTTSettings.Login(user: .name($0), password: password) }
    }

    private func tls(_ secure: Bool?) -> MQTTSettings.TLS? {
        let tls = MQTTSettings.TLS(authorities: readable("ca_file"), certificate: readable("cert_file"), key: readable("key_file"))
        if (tls.certificate == nil) != (tls.key == nil) {
            table.problem(tls.key == nil ? "cert_file" : "key_file", "cert_file and key_file go together; add the other")
        }
        if secure == false, tls != MQTTSettings.TLS() {
            table.problem("url", "is plain text, but certificates are given; write mqtts:// or remove them")
        }
        return secure == true ? tls : nil
    }

    /// A topic with the places it must have, so that no two gateways or devices speak on one.
    private func template(_ key: String, mustName places: [String], places known: [String] = ["gateway", "device", "role"]) -> String? {
        guard let text = table.string(key, example: "\"\(MQTTSettings.standardTopic)\"") else { return nil }
        if key == "availability_topic", text.isEmpty { return text }
        for place in places where !text.contains(place) { table.problem(key, "must contain \(place), else several would share it") }
        if text.isEmpty || text.utf8.count > 512 || text.contains("+") || text.contains("#") || text.utf8.contains(0) {
            table.problem(key, "must be a topic of at most 512 bytes, without + and #")
        }
        if let place = unknownPlace(text, known) {
            table.problem(
                key,
                "\(place) is no place here; there \(known.count == 1 ? "is" : "are") \(known.map { "{\($0)}" }.joined(separator: ", "))")
        }
        return text
    }

    private func unknownPlace(_ text: String, _ known: [String]) -> String? {
        for part in text.split(separator: "{", omittingEmptySubsequences: false).dropFirst() {
            let name = part.prefix { $0 != "}" }
            if !known.contains(String(name)) || name.count == part.count { return "{\(name)}" }
        }
        return nil
    }
}
