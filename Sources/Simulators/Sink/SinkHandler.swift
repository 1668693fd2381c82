import NIOCore
import NIOHTTP1

/// One connection to the sink: gathers a request, asks what to do, does it.
final class SinkHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let core: SinkCore
    private let setMode: @Sendable (SinkMode, any EventLoop) -> EventLoopFuture<SinkAnswer>
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    /// Set once the connection is past saving: what still comes in is not looked at.
    private var finished = false

    init(core: SinkCore, setMode: @escaping @Sendable (SinkMode, any EventLoop) -> EventLoopFuture<SinkAnswer>) {
        self.core = core
        self.setMode = setMode
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !finished else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.removeAll(keepingCapacity: true)
        case .body(let part):
            guard body.count + part.readableBytes <= SinkRequest.bodyLimit else {
                finished = true
                send(.problem(413, "the body is longer than \(SinkRequest.bodyLimit) bytes"), keepAlive: false, context)
                return
            }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            self.head = nil
            act(on: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finished = true
        context.close(promise: nil)
    }

    private func act(on head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let request = SinkRequest(
            method: head.method.rawValue, path: String(head.uri.prefix { $0 != "?" }),
            contentType: head.headers.first(name: "Content-Type"),
            contentEncoding: head.headers.first(name: "Content-Encoding"), idempotencyKey: head.headers.first(name: "Idempotency-Key"),
            body: body)
        body = []
        switch core.action(for: request) {
        case .answer(let answer):
            send(answer, keepAlive: head.isKeepAlive, context)
        case .hang:
            finished = true
        case .cut:
            finished = true
            context.close(promise: nil)
        case .noise:
            finished = true
            // Past the HTTP encoder, straight onto the socket.
            let bytes = context.channel.allocator.buffer(string: "\u{1}\u{2}no http at all\r\n\r\n")
            guard let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self) else { return }
            encoder.writeAndFlush(NIOAny(bytes), promise: nil)
            context.close(promise: nil)
        case .setMode(let mode):
            let loop = context.eventLoop
            let bound = NIOLoopBound((self, context), eventLoop: loop)
            let keepAlive = head.isKeepAlive
            setMode(mode, loop).whenSuccess { answer in
                let (handler, context) = bound.value
                handler.send(answer, keepAlive: keepAlive, context)
            }
        }
    }

    private func send(_ answer: SinkAnswer, keepAlive: Bool, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders()
        headers.add(name: "Content-Type", value: answer.contentType)
        headers.add(name: "Content-Length", value: "\(answer.body.utf8.count)")
        if !keepAlive { headers.add(name: "Connection", value: "close") }
        for (name, value) in answer.headers { headers.add(name: name, value: value) }
        let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: answer.body)))), promise: nil)
        if keepAlive {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        } else {
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
