import Metering

/// Where an MQTT output connects, as whom, and what it publishes.
package struct MQTTSettings: Hashable, Sendable {
    package enum Version: String, Hashable, Sendable, CaseIterable {
        case v311 = "3.1.1"
        case v5 = "5"
    }

    package struct TLS: Hashable, Sendable {
        /// PEM file of the authorities that are trusted; nil trusts those of the system.
        package var authorities: String?
        package var certificate: String?
        package var key: String?

        package init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
        }
    }

    package struct Login: Hashable, Sendable {
        package enum User: Hashable, Sendable {
            case name(String)
            /// The user name is itself the secret, as ThingsBoard has it.
            case token(TokenFile)
        }
        package var user: User
        package var password: TokenFile?
        /// Holds a device's key at an Azure IoT hub, of which a password is made for each connection.
        package var azureKey: TokenFile?

        package init(user: User, password: TokenFile? = nil, azureKey: TokenFile? = nil) {
            self.user = user
            self.password = password
            self.azureKey = azureKey
        }
    }

    /// How records become messages.
    package enum Layout: Hashable, Sendable {
        /// One message a record, to a topic of its device.
        case records(topic: String)
        /// ThingsBoard's gateway API: many records a message.
        case thingsboard
        /// The JSON of the HTTP output, a message for each batch of at most so many bytes.
        case batches(topic: String, bytes: Int)
    }

    /// AWS IoT Core ends the connection at a message of more than 128 KiB, topic and all.
    /// - Source: AWS, "AWS IoT Core endpoints and quotas", "Message broker limits".
    package static let awsBytes = 100 * 1024
    package static let awsTopic = "meterd/{gateway}/readings"
    /// An Azure IoT hub takes messages of at most 256 KiB. What is said behind the topic lets it route by what stands in them.
    /// - Source: Microsoft, "IoT Hub quotas and throttling"; "Communicate with an IoT hub using the MQTT protocol".
    package static let azureBytes = 200 * 1024

    package static func azureTopic(device: String) -> String {
        "devices/\(device)/messages/events/$.ct=application%2Fjson&$.ce=utf-8"
    }

    package static func azureUser(hub: String, device: String) -> String { "\(hub)/\(device)/?api-version=2021-04-12" }

    package static let standardTopic = "meterd/{gateway}/{device}"
    package static let standardAvailability = "meterd/{gateway}/availability"

    package var host: String
    package var port: UInt16
    package var version: Version
    /// What the broker knows us by; each connection to it has its own.
    package var clientID: String
    package var login: Login?
    package var tls: TLS?
    package var keepAlive: Duration
    /// From the first message out to the last acknowledgement in, connection included.
    package var timeout: Duration
    package var layout: Layout
    /// Says `online` or `offline`, retained; nil: nothing says it.
    package var availability: String?
    /// The prefix of Home Assistant's discovery topics, when devices are announced there.
    package var discovery: String?

    package init(
        host: String, port: UInt16, version: Version = .v5, clientID: String, login: Login? = nil, tls: TLS? = nil,
        keepAlive: Duration = .seconds(30), timeout: Duration = .seconds(30), layout: Layout = .records(topic: standardTopic),
        availability: String? = standardAvailability, discovery: String? = nil
    ) {
        self.host = host
        self.port = port
        self.version = version
        self.clientID = clientID
        self.login = login
        self.tls = tls
        self.keepAlive = keepAlive
        self.timeout = timeout
        self.layout = layout
        self.availability = availability
        self.discovery = discovery
    }

    /// With this client id, unless it has one.
    package func named(_ clientID: String) -> MQTTSettings {
        var settings = self
        if settings.clientID.isEmpty { settings.clientID = clientID }
        return settings
    }

    /// A topic with its places filled in: `{gateway}`, `{device}` and `{role}`. A name never brings a level or a wildcard of its own.
    package static func topic(_ template: String, gateway: String, device: String = "", role: String = "") -> String {
        func level(_ name: String) -> String { String(name.map { "/+#\0".contains($0) ? "_" : $0 }) }
        var topic = template
        for (place, name) in [("{gateway}", gateway), ("{device}", device), ("{role}", role)] {
            topic = topic.split(separator: place, omittingEmptySubsequences: false).joined(separator: level(name))
        }
        return topic
    }
}
