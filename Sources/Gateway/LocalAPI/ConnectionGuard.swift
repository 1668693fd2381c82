import NIOCore

/// Closes connections that hold a place without using it: those that send the head of a request drop by drop, and those that do not take
/// their answer. It stands next to the socket and sees bytes.
package final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer

    private let headTime: TimeAmount
    private let stallTime: TimeAmount
    /// Runs while a head is under way.
    private var headDeadline: Scheduled<Void>?
    /// Runs while something is to be taken; begins anew with each piece that is.
    private var stallDeadline: Scheduled<Void>?
    private var pendingWrites = 0
    /// Line feeds since the last other byte, carriage returns aside: two end a head that has begun.
    private var lineFeeds = 0
    private var hasBegun = false

    package init(headTime: TimeAmount, stallTime: TimeAmount) {
        self.headTime = headTime
        self.stallTime = stallTime
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let endsWithHead = lastHeadEnds(unwrapInboundIn(data).readableBytesView)
        if endsWithHead {
            headDeadline?.cancel()
            headDeadline = nil
        } else if headDeadline == nil {
            headDeadline = closing(context, in: headTime)
        }
        context.fireChannelRead(data)
    }

    /// True when the bytes end with the end of a head: nothing of a next one has come.
    private func lastHeadEnds(_ bytes: ByteBufferView) -> Bool {
        var ends = false
        for byte in bytes where byte != UInt8(ascii: "\r") {
            if byte == UInt8(ascii: "\n") {
                lineFeeds += 1
                if lineFeeds >= 2, hasBegun { (hasBegun, ends) = (false, true) }
            } else {
                (lineFeeds, hasBegun, ends) = (0, true, false)
            }
        }
        return ends
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        pendingWrites += 1
        if stallDeadline == nil { stallDeadline = closing(context, in: stallTime) }
        let promise = promise ?? context.eventLoop.makePromise()
        let own = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in
            let (guardian, context) = own.value
            guardian.taken(context)
        }
        context.write(data, promise: promise)
    }

    private func taken(_ context: ChannelHandlerContext) {
        pendingWrites -= 1
        stallDeadline?.cancel()
        stallDeadline = pendingWrites > 0 && context.channel.isActive ? closing(context, in: stallTime) : nil
    }

    private func closing(_ context: ChannelHandlerContext, in time: TimeAmount) -> Scheduled<Void> {
        let channel = context.channel
        return context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        headDeadline?.cancel()
        stallDeadline?.cancel()
        context.fireChannelInactive()
    }
}

/// Puts a guard next to the socket: the server's own handlers come to stand behind the HTTP codec.
final class ConnectionGuardPlacer: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let guardian: ConnectionGuard

    init(headTime: TimeAmount, stallTime: TimeAmount) { guardian = ConnectionGuard(headTime: headTime, stallTime: stallTime) }

    func handlerAdded(context: ChannelHandlerContext) {
        // A pipeline takes any handler at its start; if it did not, the connection would go without this guard.
        do { try context.pipeline.syncOperations.addHandler(guardian, position: .first) } catch { context.close(promise: nil) }
    }
}
