import Gateway
import NIOCore
import NIOEmbedded
import Testing

/// Who holds a connection without using it, with time moved by hand.
@Suite struct ConnectionGuardTests {
    /// The socket of somebody who takes a piece when the test says so.
    private final class Taker: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        private var waiting: [EventLoopPromise<Void>] = []

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if let promise { waiting.append(promise) }
        }

        func takeOne() { waiting.removeFirst().succeed() }
        func end() { for promise in waiting { promise.fail(ChannelError.eof) } }
    }

    private func withConnection(_ body: (EmbeddedChannel, Taker) throws -> Void) throws {
        let taker = Taker()
        let channel = EmbeddedChannel()
        let guardian = ConnectionGuard(headTime: .seconds(10), stallTime: .seconds(60))
        try channel.pipeline.syncOperations.addHandlers([taker, guardian])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try body(channel, taker)
        taker.end()
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    private func write(_ pieces: Int, _ channel: EmbeddedChannel) {
        for _ in 0..<pieces { channel.writeAndFlush(ByteBuffer(string: "piece"), promise: nil) }
    }

    @Test func whoTakesNothingIsCutOffInTime() throws {
        try withConnection { channel, _ in
            write(1, channel)
            channel.embeddedEventLoop.advanceTime(by: .seconds(59))
            #expect(channel.isActive)
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            #expect(!channel.isActive)
        }
    }

    @Test func whoTakesSomeAndThenNoMoreIsCutOffToo() throws {
        try withConnection { channel, taker in
            write(3, channel)
            // However slow: what is taken counts.
            for _ in 0..<2 {
                channel.embeddedEventLoop.advanceTime(by: .seconds(50))
                taker.takeOne()
            }
            channel.embeddedEventLoop.advanceTime(by: .seconds(59))
            #expect(channel.isActive)
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            #expect(!channel.isActive, "one piece waits, and nobody takes it")
        }
    }

    @Test func whoHasTakenAllMayRest() throws {
        try withConnection { channel, taker in
            write(2, channel)
            for _ in 0..<2 { taker.takeOne() }
            channel.embeddedEventLoop.advanceTime(by: .hours(1))
            #expect(channel.isActive)
            write(1, channel)
            channel.embeddedEventLoop.advanceTime(by: .seconds(60))
            #expect(!channel.isActive)
        }
    }
}
