import Host
import Metering
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// Whether a broker can be reached, told without logging in: name, connection and TLS handshake, and not a byte of MQTT.
extension UpstreamProbe {
    static let connectBound: TimeAmount = .seconds(5)

    package static func reach(_ settings: MQTTSettings, eventLoops: any EventLoopGroup, time: any TimeSource) async -> Outcome {
        let context: NIOSSLContext?
        do {
            context = try settings.tls.map { try NIOSSLContext(configuration: $0.link.tls()) }
        } catch {
            return .fails((error as? PEMFile.Failure).map { "\($0)" } ?? TransportFault.sentence(error, timeout: bound))
        }
        let shaken = eventLoops.next().makePromise(of: Void.self)
        let bootstrap = ClientBootstrap(group: shaken.futureResult.eventLoop).connectTimeout(connectBound).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                guard let context else { return }
                // An address is no server name; the certificate is then held against the address.
                let name = (try? SocketAddress(ipAddress: settings.host, port: 0)) == nil ? settings.host : nil
                try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: name))
                try channel.pipeline.syncOperations.addHandler(HandshakeWatch(shaken))
            }
        }
        let connected = bootstrap.connect(host: settings.host, port: Int(settings.port))
        let outcome = await within(bound, time) {
            do {
                let channel = try await connected.get()
                if context == nil { shaken.succeed() }
                let result: Result<Void, any Error>
                do { result = .success(try await shaken.futureResult.get()) } catch { result = .failure(error) }
                channel.close(promise: nil)
                try result.get()
                return .answers(context == nil ? "it can be reached" : "it can be reached, TLS is good")
            } catch {
                return .fails(TransportFault.sentence(error, timeout: bound))
            }
        } late: {
            shaken.fail(ChannelError.connectTimeout(connectBound))
        }
        // Of a connection that was never made nobody has told.
        shaken.fail(ChannelError.inputClosed)
        return outcome
    }
}

extension MQTTSettings.TLS {
    fileprivate var link: HTTPLink { HTTPLink(authorities: authorities, certificate: certificate, key: key) }
}

/// Tells how the handshake ends.
private final class HandshakeWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let ended: EventLoopPromise<Void>

    init(_ ended: EventLoopPromise<Void>) { self.ended = ended }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { ended.succeed() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ended.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended.fail(ChannelError.inputClosed)
        context.fireChannelInactive()
    }
}
