import FoundationEssentials
import Gateway
import Metering
import TestSupport
import Testing
import Uplink

/// What `[[output]]` takes, and how it says no.
@Suite final class OutputConfigurationTests {
    private let folder: String
    private let secret: String

    init() throws {
        folder = try TemporaryFolder.make("outputs")
        secret = folder + "/secret"
        try TextFile.write("s3cret", to: secret)
    }

    deinit { TemporaryFolder.remove(folder) }

    private func write(_ lines: String) throws {
        try TextFile.write("[[output]]\nname = \"o\"\n\(lines)\n", to: folder + "/meterd.toml")
    }

    private func load(_ lines: String) throws -> Configuration.Output {
        try write(lines)
        return try #require(try Configuration.load(file: folder + "/meterd.toml", hostName: "box").outputs.first)
    }

    private func problems(_ lines: String) -> [String] {
        do { try write(lines) } catch { return ["\(error)"] }
        return Configuration.examine(file: folder + "/meterd.toml", hostName: "box").problems
            .map { $0.description.replacing(folder, with: "") }
    }

    /// Each would throw the other out.
    @Test func twoOutputsDoNotShareAClientAtOneBroker() {
        func pair(_ url: String, _ id: String, _ more: String = "availability_topic = \"\"") -> [String] {
            problems(
                """
                type = "mqtt"
                url = "mqtt://192.0.2.5"
                client_id = "gw"
                [[output]]
                name = "p"
                type = "mqtt"
                url = "\(url)"
                client_id = "\(id)"
                \(more)
                """)
        }
        #expect(
            pair("mqtt://192.0.2.5:1883", "gw")
                == [
                    #"/meterd.toml:10:13: output[1].client_id: is that of output "o" at the same broker, which lets in one at a time; each needs its own"#
                ])
        let standard = problems(
            """
            type = "mqtt"
            url = "mqtt://Broker.example.org"
            [[output]]
            name = "p"
            type = "mqtt"
            url = "mqtt://broker.example.org"
            client_id = "meterd-box-o"
            availability_topic = "plant/{gateway}"
            """)
        #expect(standard.count == 1 && standard.allSatisfy { $0.contains(#"that of output "o" at the same broker"#) }, "\(standard)")
        #expect(pair("mqtt://192.0.2.6", "gw").isEmpty && pair("mqtt://192.0.2.5", "gw-2").isEmpty)
        #expect(
            pair("mqtt://192.0.2.5", "gw-2", "")
                == [
                    #"/meterd.toml:6:1: output[1].availability_topic: is that of output "o" at the same broker, and would say offline when that one goes; name another, or "" for none"#
                ])
    }

    @Test func influxIsReadWhole() throws {
        let output = try load(
            """
            type = "influx"
            url = "http://192.0.2.5:8086/api/v2/write?org=o&bucket=b"
            token_file = "\(secret)"
            measurement = "energy"
            texts = true
            compression = "none"
            timeout = "9s"
            """)
        #expect(output.type == .influx)
        #expect(
            output.target
                == .http(
                    HTTPUpstream.Settings(
                        url: "http://192.0.2.5:8086/api/v2/write?org=o&bucket=b&precision=ms",
                        format: .lineProtocol(LineProtocol(measurement: "energy", texts: true)),
                        credentials: .token(TokenFile(path: secret), scheme: "Token"), compression: .none, timeout: .seconds(9),
                        version: Gateway.version)))
        let basic = try load(
            "type = \"influx\"\nurl = \"http://h:8086/write?db=m\"\nusername = \"me\"\npassword_file = \"\(secret)\"")
        guard case .http(let settings) = basic.target else {
            Issue.record("\(basic.target)")
            return
        }
        #expect(settings.credentials == .password(TokenFile(path: secret), user: "me"))
    }

    @Test func httpIsReadWhole() throws {
        let output = try load(
            """
            type = "http"
            url = "https://h/v1"
            username = "me"
            password_file = "secret"
            ca_file = "secret"
            cert_file = "secret"
            key_file = "secret"
            proxy = "http://[::1]:3128"
            headers = ["X-Park: 7", "X-Empty:"]
            compression = "none"
            """)
        #expect(
            output.target
                == .http(
                    HTTPUpstream.Settings(
                        url: "https://h/v1", credentials: .password(TokenFile(path: secret), user: "me"), compression: .none,
                        headers: [HTTPUpstream.Header(name: "X-Park", value: "7"), HTTPUpstream.Header(name: "X-Empty", value: "")],
                        link: HTTPLink(authorities: secret, certificate: secret, key: secret, proxy: .init(host: "::1", port: 3128)),
                        version: Gateway.version)))
        #expect(
            problems(
                "type = \"http\"\nurl = \"http://h\"\nca_file = \"secret\"\nproxy = \"http://me:hunter2@p:1\"\nheaders = [\"Authorization: x\", \"y\"]"
            )
                == [
                    "/meterd.toml:4:7: output[0].url: is plain text, but certificates are given; write https:// or remove them",
                    "/meterd.toml:6:9: output[0].proxy: holds a user name or password; take them out",
                    "/meterd.toml:7:11: output[0].headers: Authorization is meterd's own; remove it. Secrets go into token_file or password_file",
                    "/meterd.toml:7:11: output[0].headers: must be lines such as \"X-Park: 7\"; one of them is not",
                ])
    }

    @Test func mqttIsReadWhole() throws {
        let plain = try load("type = \"mqtt\"\nurl = \"mqtt://broker\"")
        #expect(plain.target == .mqtt(MQTTSettings(host: "broker", port: 1883, clientID: "")))
        let whole = try load(
            """
            type = "mqtt"
            url = "mqtts://[2001:db8::1]"
            version = "3.1.1"
            client_id = "roof"
            username = "me"
            password_file = "\(secret)"
            ca_file = "\(secret)"
            cert_file = "\(secret)"
            key_file = "\(secret)"
            keep_alive = "60s"
            topic = "park/{gateway}/{role}/{device}"
            availability_topic = ""
            preset = "homeassistant"
            """)
        #expect(
            whole.target
                == .mqtt(
                    MQTTSettings(
                        host: "2001:db8::1", port: 8883, version: .v311, clientID: "roof",
                        login: MQTTSettings.Login(user: .name("me"), password: TokenFile(path: secret)),
                        tls: MQTTSettings.TLS(authorities: secret, certificate: secret, key: secret), keepAlive: .seconds(60),
                        layout: .records(topic: "park/{gateway}/{role}/{device}"), availability: nil, discovery: "homeassistant")))
        let board = try load("type = \"mqtt\"\nurl = \"mqtt://tb\"\npreset = \"thingsboard\"\ntoken_file = \"\(secret)\"")
        #expect(
            board.target
                == .mqtt(
                    MQTTSettings(
                        host: "tb", port: 1883, version: .v311, clientID: "",
                        login: MQTTSettings.Login(user: .token(TokenFile(path: secret))), layout: .thingsboard, availability: nil)))
    }

    @Test func theCloudsAreReadWhole() throws {
        let tls = MQTTSettings.TLS(certificate: secret, key: secret)
        let aws = try load(
            "type = \"mqtt\"\npreset = \"aws\"\nurl = \"mqtts://x-ats.iot.example.org\"\ncert_file = \"\(secret)\"\nkey_file = \"\(secret)\""
        )
        #expect(
            aws.target
                == .mqtt(
                    MQTTSettings(
                        host: "x-ats.iot.example.org", port: 8883, version: .v5, clientID: "", tls: tls,
                        layout: .batches(topic: "meterd/{gateway}/readings", bytes: 102_400), availability: nil)))
        let azure = try load(
            "type = \"mqtt\"\npreset = \"azure\"\nurl = \"mqtts://hub.example.net\"\nclient_id = \"roof\"\naccess_key_file = \"\(secret)\"")
        let user = "hub.example.net/roof/?api-version=2021-04-12"
        #expect(
            azure.target
                == .mqtt(
                    MQTTSettings(
                        host: "hub.example.net", port: 8883, version: .v311, clientID: "roof",
                        login: MQTTSettings.Login(user: .name(user), azureKey: TokenFile(path: secret)), tls: MQTTSettings.TLS(),
                        layout: .batches(topic: "devices/roof/messages/events/$.ct=application%2Fjson&$.ce=utf-8", bytes: 204_800),
                        availability: nil)))
    }

    @Test func theCloudsWantWhatTheyWant() throws {
        #expect(
            problems("type = \"mqtt\"\npreset = \"aws\"\nurl = \"mqtt://h\"\ntopic = \"{device}\"") == [
                "/meterd.toml:1:1: output[0].cert_file: is wanted for aws, with key_file: the certificate of the thing",
                "/meterd.toml:5:7: output[0].url: is plain text, which the cloud does not take; write mqtts://",
                "/meterd.toml:6:9: output[0].topic: {device} is no place here; there is {gateway}",
            ])
        #expect(
            problems("type = \"mqtt\"\npreset = \"azure\"\nurl = \"mqtts://h\"\nusername = \"me\"\ntopic = \"x\"") == [
                "/meterd.toml:1:1: output[0].client_id: is wanted for azure: the device's id in the hub",
                "/meterd.toml:1:1: output[0].access_key_file: or cert_file with key_file is wanted for azure, one of the two",
                "/meterd.toml:6:12: output[0].username: is made by meterd for azure; remove it, and name the device's key with access_key_file",
                "/meterd.toml:7:1: output[0].topic: unknown key; remove it",
            ])
        #expect(
            problems("type = \"influx\"\nurl = \"http://h:8086/write?db=m\"\ncompression = \"zstd\"") == [
                "/meterd.toml:5:15: output[0].compression: no server of line protocol takes zstd; write \"gzip\" or \"none\""
            ])
        guard case .http(let settings) = try load("type = \"http\"\nurl = \"http://h/\"\ncompression = \"zstd\"").target else {
            Issue.record("no http")
            return
        }
        #expect(settings.compression == .zstd)
    }

    static let filesOfOutputs: [(String, String)] = [
        ("token_file", "type = \"http\"\nurl = \"https://h/\""),
        ("password_file", "type = \"http\"\nurl = \"http://h/\"\nusername = \"me\""),
        ("ca_file", "type = \"http\"\nurl = \"https://h/\""),
        ("token_file", "type = \"influx\"\nurl = \"http://h:8086/write?db=m\""),
        ("ca_file", "type = \"mqtt\"\nurl = \"mqtts://h\""),
        ("access_key_file", "type = \"mqtt\"\npreset = \"azure\"\nurl = \"mqtts://h\"\nclient_id = \"roof\""),
    ]

    /// It is told, and its output pauses over it; but metering does not wait for it.
    @Test(arguments: OutputConfigurationTests.filesOfOutputs)
    func aFileThatCannotBeReadKeepsNothingFromStarting(_ key: String, _ lines: String) throws {
        for path in ["\(folder)/none", "none", folder] {
            let text = "\(lines)\n\(key) = \"\(path)\""
            let output = try load(text)
            let told = problems(text)
            #expect(told.count == 1 && told[0].contains("output[0].\(key): ") && told[0].contains(" cannot be read; "), "\(told)")
            if !path.hasSuffix("none") { continue }
            try TextFile.write("s3cret", to: folder + "/none")
            let mended = try load(text)
            // A relative one has its name for sentences now.
            if path != "none" { #expect(mended == output, "it is looked for in the same place") }
            #expect(problems(text).isEmpty)
            try FileManager.default.removeItem(atPath: folder + "/none")
            // With another problem nothing starts, and both are told.
            let refusal = #expect(throws: Problems.self) { try load(text + "\nnothing = 1") }
            #expect(refusal?.list.count == 2)
        }
    }

    /// Where the name of a file may be the secret itself, the output's alarm does not say it either.
    @Test func aSecretInThePlaceOfItsFileIsNotSaid() throws {
        guard case .http(let settings) = try load("type = \"http\"\nurl = \"https://h/\"\ntoken_file = \"planted/0SECRET\"").target,
            case .token(let file, _)? = settings.credentials
        else {
            Issue.record("no token")
            return
        }
        #expect(file.path == folder + "/planted/0SECRET")
        let failure = #expect(throws: TokenFile.Failure.self) { try file.read() }
        #expect(failure?.description == "the token file \(folder)/*** cannot be read: No such file or directory")
        #expect(
            problems("type = \"http\"\nurl = \"https://h/\"\ntoken_file = \"planted0SECRET\"") == [
                "/meterd.toml:5:14: output[0].token_file: /*** cannot be read; give its whole path, from /; its name is not shown, for it may be the secret itself"
            ])
        #expect(
            problems("type = \"http\"\nurl = \"https://h/\"\ncert_file = \"secret\"\nkey_file = \"\"\"\nplanted\n0SECRET\"\"\"") == [
                "/meterd.toml:5:13: output[0].cert_file: cert_file and key_file go together; add the other",
                "/meterd.toml:6:12: output[0].key_file: is no path; name a file or folder, such as \"/var/lib/meterd\"",
            ])
    }

    @Test func fileIsReadWhole() throws {
        let output = try load("type = \"file\"\ndirectory = \"/srv/x\"\nformat = \"jsonl\"\nrotate_size = \"1MiB\"\nkeep_files = 9")
        #expect(
            output.target
                == .file(FileUpstream.Settings(directory: "/srv/x", name: "o", format: .jsonl, rotateSize: 1 << 20, keepFiles: 9)))
    }

    @Test func mistakesHaveTheirPlaceAndTheirCure() throws {
        #expect(
            problems(
                """
                type = "influx"
                url = "http://h:8086?db=m&precision=ns&u=me"
                token_file = "\(secret)"
                username = "me"
                token_scheme = "token"
                bucket = "b"
                """) == [
                    "/meterd.toml:4:7: output[0].url: names no write endpoint; write the whole address, such as \"http://192.0.2.5:8086/api/v2/write?org=factory&bucket=meters\"",
                    "/meterd.toml:4:7: output[0].url: must not say the precision; meterd adds it",
                    "/meterd.toml:4:7: output[0].url: must not hold user or password; use username and password_file",
                    "/meterd.toml:5:14: output[0].token_file: goes without username and password_file; remove one or the other",
                    "/meterd.toml:7:16: output[0].token_scheme: \"token\" is none of Token, Bearer; did you mean \"Token\"?",
                    "/meterd.toml:8:1: output[0].bucket: unknown key; remove it",
                ])
        #expect(
            problems(
                """
                type = "mqtt"
                url = "mqtt://me:secret@h"
                topic = "meters/{gatway}/#"
                cert_file = "\(secret)"
                password_file = "\(secret)"
                availabilty_topic = "x"
                """) == [
                    "/meterd.toml:4:7: output[0].url: holds a user name or password; take them out and name a file that holds the secret: username with password_file, or token_file",
                    "/meterd.toml:5:9: output[0].topic: must contain {gateway}, else several would share it",
                    "/meterd.toml:5:9: output[0].topic: must contain {device}, else several would share it",
                    "/meterd.toml:5:9: output[0].topic: must be a topic of at most 512 bytes, without + and #",
                    "/meterd.toml:5:9: output[0].topic: {gatway} is no place here; there are {gateway}, {device}, {role}",
                    "/meterd.toml:6:13: output[0].cert_file: cert_file and key_file go together; add the other",
                    "/meterd.toml:7:17: output[0].password_file: goes with a username; add username",
                    "/meterd.toml:8:1: output[0].availabilty_topic: unknown key; did you mean \"availability_topic\"?",
                ])
        #expect(
            problems("type = \"file\"\nurl = \"http://h\"") == [
                "/meterd.toml:1:1: output[0].format: is missing; add format = \"csv\"",
                "/meterd.toml:1:1: output[0].directory: is missing; add directory = \"/var/lib/meterd/export\"",
                "/meterd.toml:4:1: output[0].url: unknown key; remove it",
            ])
        #expect(
            try load("type = \"file\"\ndirectory = \"export\"\nformat = \"csv\"").target
                == .file(FileUpstream.Settings(directory: folder + "/export", name: "o", format: .csv)))
        #expect(
            problems("type = \"http\"\nurl = \"http://h:70000\"\ntoken_file = \"/dev/null\"") == [
                "/meterd.toml:4:7: output[0].url: \"http://h:70000\" is no http:// or https:// address; write one such as \"https://ingest.example.org/v1/batches\"",
                "/meterd.toml:5:14: output[0].token_file: /dev/null cannot be read; create it, readable for the user that runs meterd",
            ])
        let credential = "/run/credentials/meterd.service/secrets_park-token"
        #expect(
            problems("type = \"http\"\nurl = \"http://h\"\ntoken_file = \"\(credential)\"") == [
                "/meterd.toml:5:14: output[0].token_file: \(credential) cannot be read; it is there while the service runs and a "
                    + "LoadCredential= of its unit gives it (docs/operating.md), and by hand only with sudo"
            ])
        #expect(
            problems("type = \"mqtt\"\nurl = \"mqtt://h:0\"") == [
                "/meterd.toml:4:7: output[0].url: \"mqtt://h:0\" has no port between 1 and 65535"
            ])
        #expect(
            problems("type = \"mqtt\"\nurl = \"mqtt://h\"\nca_file = \"\(secret)\"") == [
                "/meterd.toml:4:7: output[0].url: is plain text, but certificates are given; write mqtts:// or remove them"
            ])
    }
}
