import CMosquitto
import Glibc
import Host
import Metering

/// One connection to a broker, from CONNECT to its end; after that another is made. So nothing that libmosquitto holds back for a
/// reconnect is ever sent behind our back, and its queue holds one batch at most.
///
/// libmosquitto's own thread moves the bytes and calls back; it only resumes whoever waits.
final class MQTTSession: @unchecked Sendable {
    // Safe to share: the client is thread-safe once its thread runs, and destroyed when nobody holds the session, so after `close`;
    // `looping` is touched by `open` and `close` alone, which `MQTTLine` calls one after the other; all else is in `state`.
    private struct State {
        var phase = Phase.connecting
        var opening: CheckedContinuation<Void, any Error>?
        /// Messages that are out, by libmosquitto's number: whose they are, and which of them.
        var waiting: [Int32: (flight: Flight, index: Int)] = [:]
    }

    /// What libmosquitto's log said. It has a lock of its own: the log calls back while the library holds a lock that publishing needs
    /// too, and `state` is held while publishing; waiting for `state` there would wait for ever.
    private struct Complaints {
        var last: String?
        /// The broker has let us in: from now on a complaint ends nothing, the end of the connection does.
        var greeted = false
    }

    /// Messages published together.
    private final class Flight {
        var left: Int
        var faults: [MQTTFault?]
        var continuation: CheckedContinuation<[MQTTFault?], Never>?

        init(_ count: Int) {
            left = count
            faults = Array(repeating: nil, count: count)
        }

        /// Returns whom to tell when it was the last.
        func land(_ index: Int, _ fault: MQTTFault?) -> CheckedContinuation<[MQTTFault?], Never>? {
            faults[index] = fault
            left -= 1
            return left == 0 ? continuation.take() : nil
        }
    }

    private enum Phase {
        case connecting, connected
        case ended(MQTTFault)
    }

    /// Messages on the way at a time; brokers take 20 and more by default, and MQTT 5 brokers say less when they want less.
    private static let window: Int32 = 20
    /// The goodbye has 60 turns of 5 ms to get out.
    private static let goodbyeTurns = 60
    private static let goodbyeTurn: Int32 = 5
    private static let library: Void = { mosquitto_lib_init() }()

    private let client: OpaquePointer
    private let settings: MQTTSettings
    private let state = Lock(State())
    private let complaints = Lock(Complaints())
    private var looping = false

    /// Sets the client up; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - will: the topic that says `offline` when the connection breaks.
    ///   - now: until when a password made of a key is good follows from it.
    init(_ settings: MQTTSettings, will: String?, now: Timestamp) throws(MQTTFault) {
        _ = MQTTSession.library
        guard let client = mosquitto_new(settings.clientID, true, nil) else { throw .unavailable(String(cString: strerror(errno))) }
        self.client = client
        self.settings = settings
        mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, settings.version == .v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311)
        mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, MQTTSession.window)
        mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1)
        if let tls = settings.tls { try secure(tls) }
        if let login = settings.login { try logIn(login, now) }
        if let will {
            let offline = Array("offline".utf8)
            guard mosquitto_will_set(client, will, Int32(offline.count), offline, 1, true) == 0 else {
                throw .configuration("\"\(will)\" is no topic; check the output's availability_topic")
            }
        }
        mosquitto_user_data_set(client, Unmanaged.passUnretained(self).toOpaque())
        mosquitto_connect_v5_callback_set(client) { _, session, code, _, _ in MQTTSession.of(session)?.connected(code) }
        mosquitto_disconnect_v5_callback_set(client) { _, session, code, _ in MQTTSession.of(session)?.disconnected(code) }
        mosquitto_publish_v5_callback_set(client) { _, session, message, reason, _ in MQTTSession.of(session)?.acknowledged(message, reason)
        }
        mosquitto_log_callback_set(client) { _, session, level, text in
            guard level & MOSQ_LOG_ERR != 0, let text else { return }
            MQTTSession.of(session)?.complained(String(cString: text))
        }
    }

    deinit { mosquitto_destroy(client) }

    /// Says goodbye and ends libmosquitto's thread; blocks while it does. Must be called, from any other thread, if `open` was.
    func close() {
        abandon(.unavailable("stopped before an answer came"))
        guard looping else { return }
        looping = false
        mosquitto_disconnect(client)
        // The library closes the socket once the goodbye is out; without it the broker would publish the will.
        for _ in 0..<MQTTSession.goodbyeTurns where mosquitto_socket(client) >= 0 { poll(nil, 0, MQTTSession.goodbyeTurn) }
        // A peer that takes no more bytes must not hold up the thread's end.
        let socket = mosquitto_socket(client)
        if socket >= 0 { shutdown(socket, Int32(SHUT_RD)) }
        mosquitto_loop_stop(client, false)
    }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> MQTTSession? {
        pointer.map { Unmanaged<MQTTSession>.fromOpaque($0).takeUnretainedValue() }
    }

    private func secure(_ tls: MQTTSettings.TLS) throws(MQTTFault) {
        do throws(PEMFile.Failure) {
            for path in [tls.authorities, tls.certificate].compactMap({ $0 }) { try PEMFile.checkCertificates(path) }
            if let key = tls.key { try PEMFile.checkKey(key) }
        } catch {
            throw .configuration("\(error)")
        }
        if tls.authorities == nil { mosquitto_int_option(client, MOSQ_OPT_TLS_USE_OS_CERTS, 1) }
        // Going on after a failure here would connect in plain text.
        let code = mosquitto_tls_set(
            client, tls.authorities, tls.authorities == nil ? "/etc/ssl/certs" : nil, tls.certificate, tls.key, nil)
        guard code == 0 else { throw .configuration("TLS cannot be set up: \(String(cString: mosquitto_strerror(code)))") }
    }

    private func logIn(_ login: MQTTSettings.Login, _ now: Timestamp) throws(MQTTFault) {
        let (user, password): (String, String?)
        do throws(TokenFile.Failure) {
            switch login.user {
            case .name(let name): user = name
            case .token(let file): user = try file.read()
            }
            if let key = login.azureKey {
                password = AzureToken.make(hub: settings.host, device: settings.clientID, key: try key.read(), now: now)
            } else {
                password = try login.password?.read(spaces: true)
            }
        } catch {
            throw .configuration("\(error)")
        }
        if let key = login.azureKey, password == nil { throw .configuration("\(key.path) holds no key: base64 is wanted") }
        guard mosquitto_username_pw_set(client, user, password) == 0 else { throw .configuration("the user name is no text for MQTT") }
    }

    // MARK: Opening

    /// Resolves, connects and greets; blocks while it does. The broker's answer comes to `opened()`.
    func open() throws(MQTTFault) {
        let code = mosquitto_connect_async(
            client, settings.host, Int32(settings.port), Int32(clamping: settings.keepAlive.milliseconds / 1000))
        guard code == 0 else {
            let failure = errno
            throw .opening(code, errno: failure, log: complaints.withLock { $0.last }, tls: settings.tls, host: settings.host)
        }
        guard mosquitto_loop_start(client) == 0 else { throw .unavailable("the process is out of threads") }
        looping = true
    }

    /// Returns once the broker lets us in.
    func opened() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let result: Result<Void, any Error>? = state.withLock { state in
                switch state.phase {
                case .connecting:
                    state.opening = continuation
                    return nil
                case .connected: return .success(())
                case .ended(let fault): return .failure(fault)
                }
            }
            if let result { continuation.resume(with: result) }
        }
    }

    /// Why it ended; nil while it is open or being opened.
    var end: MQTTFault? {
        state.withLock { if case .ended(let fault) = $0.phase { fault } else { nil } }
    }

    // MARK: Publishing

    /// Returns once the broker has answered for each message, or the connection has ended: nil for those it has.
    func publish(_ messages: [MQTTMessage]) async -> [MQTTFault?] {
        if messages.isEmpty { return [] }
        return await withCheckedContinuation { continuation in
            let flight = Flight(messages.count)
            // The lock is held over the calls, so that an acknowledgement, which comes on the other thread, finds its message.
            let done = state.withLock { state in
                flight.continuation = continuation
                var done: CheckedContinuation<[MQTTFault?], Never>?
                for (index, message) in messages.enumerated() {
                    if let fault = self.publish(message, index, flight, &state) { done = flight.land(index, fault) }
                }
                return done
            }
            done?.resume(returning: flight.faults)
        }
    }

    private func publish(_ message: MQTTMessage, _ index: Int, _ flight: Flight, _ state: inout State) -> MQTTFault? {
        if case .ended(let fault) = state.phase { return fault }
        var number: Int32 = 0
        let code = mosquitto_publish_v5(
            client, &number, message.topic, Int32(message.payload.count), message.payload, 1, message.retained, nil)
        // "No connection" says that it is queued all the same; but the session ends then, and its queue with it.
        guard code == 0 else { return .library(code, log: nil, host: settings.host) }
        state.waiting[number] = (flight, index)
        return nil
    }

    /// Ends it for everyone who waits. The bytes that are out stay out.
    func abandon(_ fault: MQTTFault) { finish(fault) }

    /// Ends the connection without a goodbye, as a power cut does.
    func breakOff() {
        let socket = mosquitto_socket(client)
        if socket >= 0 { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    // MARK: Called back

    private func connected(_ code: Int32) {
        guard code == 0 else {
            finish(.refusal(code, settings.version))
            mosquitto_disconnect(client)
            return
        }
        complaints.withLock { $0.greeted = true }
        // The library writes out every line of its log for the callback, two for each message. All that it tells better than its numbers
        // is why one was not let in.
        mosquitto_log_callback_set(client, nil)
        let opening = state.withLock { state in
            if case .connecting = state.phase { state.phase = .connected }
            return state.opening.take()
        }
        opening?.resume()
    }

    private func disconnected(_ code: Int32) {
        let complaints = complaints.withLock { $0 }
        // Codes from 0x80 on are the broker's own words in MQTT 5.
        let fault: MQTTFault =
            if code >= 0x80 {
                .dropped("the broker ended the connection: \(String(cString: mosquitto_reason_string(code)).lowercased())")
            } else if !complaints.greeted, let tls = settings.tls {
                .notLetIn(tls, log: complaints.last, host: settings.host)
            } else {
                .library(code, log: complaints.last, host: settings.host)
            }
        finish(fault)
        // Else the thread would connect again by itself.
        mosquitto_disconnect(client)
    }

    private func acknowledged(_ message: Int32, _ reason: Int32) {
        let done: (CheckedContinuation<[MQTTFault?], Never>, [MQTTFault?])? = state.withLock { state in
            guard let (flight, index) = state.waiting.removeValue(forKey: message) else { return nil }
            let fault = reason < 0x80 ? nil : MQTTFault.refusal(ofMessage: reason)
            return flight.land(index, fault).map { ($0, flight.faults) }
        }
        if let (continuation, faults) = done { continuation.resume(returning: faults) }
    }

    /// A handshake that fails is only told in the log: the thread then ends without a word.
    private func complained(_ text: String) {
        let greeted = complaints.withLock { complaints in
            complaints.last = String(text.prefix(200))
            return complaints.greeted
        }
        // Nobody publishes before the broker has let us in, so `state` is free here.
        if !greeted, settings.tls != nil, let words = MQTTFault.tls(text, settings.host) { finish(.unavailable(words)) }
    }

    private func finish(_ fault: MQTTFault) {
        let (opening, done) = state.withLock { state in
            if case .ended = state.phase {} else { state.phase = .ended(fault) }
            let done = state.waiting.values.compactMap { flight, index in flight.land(index, fault).map { ($0, flight.faults) } }
            state.waiting = [:]
            return (state.opening.take(), done)
        }
        opening?.resume(throwing: fault)
        for (continuation, faults) in done { continuation.resume(returning: faults) }
    }
}

struct MQTTMessage: Hashable, Sendable {
    var topic: String
    var payload: [UInt8]
    var retained = false
}
