import Metering
import TestSupport
import Testing

@testable import Fieldbus

@Suite struct LateRepliesTests {
    private let ten = ReplyShape(function: 3, dataBytes: 20)
    private let one = ReplyShape(function: 3, dataBytes: 2)
    private let start = Uptime(nanoseconds: 0)

    @Test func lateReplyIsToldFromTheAnswerByItsShape() {
        var replies = LateReplies()
        replies.enter(ten, at: start)
        #expect(replies.couldBeMistaken(for: ten))
        replies.enter(one, at: start + .seconds(1))
        #expect(replies.reply(of: ten) == .late(sent: start))
        #expect(!replies.couldBeMistaken(for: ten))
        #expect(replies.reply(of: one) == .answer)
    }

    @Test func replyNobodyAskedForIsUnknown() {
        var replies = LateReplies()
        replies.enter(ten, at: start)
        #expect(replies.reply(of: one) == .unknown)
        #expect(replies.exception(function: 4) == .unknown)
        #expect(replies.exception(function: 3) == .answer)
    }

    /// A device that answers in order, late or never, as chance has it. Whatever happens, an answer that is accepted is the answer to
    /// the request just sent, and a request is sent only when nothing older could be taken for its answer.
    @Test func noReplyIsEverTakenForAnother() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<5000 {
            var replies = LateReplies()
            var queue: [(id: Int, shape: ReplyShape)] = []
            var id = 0
            for _ in 0..<30 {
                let wanted = Bool.random(using: &random) ? ten : one
                let shape = replies.couldBeMistaken(for: wanted) ? (wanted == ten ? one : ten) : wanted
                let safe = !replies.couldBeMistaken(for: shape)
                id += 1
                replies.enter(shape, at: start)
                // It may never see the request; it may answer none, one or several of those waiting before we give up.
                if Int.random(in: 0...3, using: &random) > 0 { queue.append((id, shape)) }
                var budget = Int.random(in: 0...3, using: &random)
                while budget > 0, !queue.isEmpty {
                    budget -= 1
                    let reply = queue.removeFirst()
                    if Int.random(in: 0...9, using: &random) == 0 { continue }
                    if Int.random(in: 0...9, using: &random) == 0 {
                        if replies.exception(function: 3) == .answer { break }
                    } else if replies.reply(of: reply.shape) == .answer {
                        if safe { #expect(reply.id == id) }
                        break
                    }
                }
            }
        }
    }
}
