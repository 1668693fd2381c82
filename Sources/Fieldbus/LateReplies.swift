import Metering

/// The requests to one RTU device whose replies may still come, oldest first.
///
/// RTU replies carry no transaction id: a reply that comes after its timeout looks like the answer to the next request of the same
/// function and length. What can be relied on is that a device answers in order, each request at most once. So every request is
/// entered here when it is sent, and a reply belongs to the *first* entry of its shape; that entry and those before it are done with.
/// Only a reply that belongs to the last entry answers the request just sent. A request whose shape is still in the list must not be
/// sent at all: one of another shape goes first, and its answer shows that nothing older is left.
///
///     sent A(10)          timeout                 [10]
///     wanted B(10)        10 is in the list: first a read of one register     [10 1]
///     10 words come       A's, dropped            [1]
///     1 word comes        ours                    []          B may be sent
///
/// If that read is not answered either, the next one has yet another length: what is asked first after a long silence, and answered,
/// clears everything.
///
/// An exception tells only its function, so it belongs to the first entry of that function.
struct LateReplies: Sendable {
    /// More than this many unanswered requests and the device is left alone until the oldest are out of date.
    static let capacity = 64

    private struct Sent {
        var shape: ReplyShape
        var time: Uptime
    }

    enum Verdict: Hashable {
        /// The answer to the last request.
        case answer
        /// Of an earlier request, sent at that time.
        case late(sent: Uptime)
        /// Of no request that was sent.
        case unknown
    }

    private var sent: [Sent] = []

    var isFull: Bool { sent.count >= LateReplies.capacity }

    /// True when a reply to an earlier request would be taken for the answer to one of this shape.
    func couldBeMistaken(for shape: ReplyShape) -> Bool { sent.contains { $0.shape == shape } }

    mutating func forget(sentBefore time: Uptime) { sent.removeAll { $0.time < time } }

    mutating func enter(_ shape: ReplyShape, at time: Uptime) { sent.append(Sent(shape: shape, time: time)) }

    mutating func reply(of shape: ReplyShape) -> Verdict { settle(sent.firstIndex { $0.shape == shape }) }

    mutating func exception(function: UInt8) -> Verdict { settle(sent.firstIndex { $0.shape.function == function }) }

    private mutating func settle(_ index: Int?) -> Verdict {
        guard let index else { return .unknown }
        let verdict: Verdict = index == sent.count - 1 ? .answer : .late(sent: sent[index].time)
        sent.removeSubrange(...index)
        return verdict
    }
}
