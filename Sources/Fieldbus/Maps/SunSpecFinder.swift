import Metering

/// Finds the SunSpec map of one device, a request at a time. A value: `next` says what to ask, `take` what came, `ending` what it is.
///
/// A request that is lost is asked again, `patience` times in all; only then the walk takes it for the end. A device that does not answer
/// at all is no device without a map: the search begins anew until every base was answered.
package struct SunSpecFinder: Hashable, Sendable {
    /// How often one question may go without an answer.
    static let patience = 3
    /// A search that may be needless (a refusal, a model's id that changed) begins no sooner than this after the last such one.
    static let pause = Duration.seconds(60)
    /// A map that may be incomplete is looked at again after this.
    static let secondLook = Duration.seconds(600)

    package enum Ending: Hashable, Sendable {
        /// It answers, and has the marker at none of the bases.
        case notSunSpec
        case found(SunSpecChain)
    }

    private let bases: [UInt16]
    private var walk: SunSpecWalk
    private var chain: SunSpecChain?
    private var questions: ArraySlice<SunSpecQuestion> = []
    private var losses = 0
    /// Every base so far had a definite answer.
    private var isDefinite = true
    package private(set) var isSearching = true
    private var ended: Uptime?
    private var reconsidered: Uptime?

    package init(bases: [UInt16]) {
        self.bases = bases
        walk = SunSpecWalk(bases: bases)
    }

    /// Starts anew, where the marker was found last.
    package mutating func begin() {
        let first = chain?.base ?? walk.base
        walk = SunSpecWalk(bases: first.map { base in [base] + bases.filter { $0 != base } } ?? bases)
        chain = nil
        questions = []
        losses = 0
        isDefinite = true
        isSearching = true
    }

    /// Starts anew unless that was just done. False when it goes on as it is.
    package mutating func reconsider(at now: Uptime) -> Bool {
        guard !isSearching, reconsidered.map({ now - $0 >= SunSpecFinder.pause }) ?? true else { return false }
        reconsidered = now
        begin()
        return true
    }

    /// True when what was found should be looked at again.
    package func wantsSecondLook(at now: Uptime) -> Bool {
        !isSearching && chain?.isUncertain == true && (ended.map { now - $0 >= SunSpecFinder.secondLook } ?? false)
    }

    /// Nil when the search is over.
    package var next: Block? {
        guard isSearching else { return nil }
        return walk.next ?? questions.first?.block
    }

    /// True when the last question went without an answer and is asked again.
    package var isRetrying: Bool { losses > 0 }

    /// - Returns: the end of the search, when this was it.
    package mutating func take(_ outcome: BlockAnswer.Outcome, at now: Uptime) -> Ending? {
        guard isSearching else { return nil }
        if case .fault(.noConnection) = outcome { return nil }
        let isLost = SunSpecFinder.isLost(outcome)
        if isLost {
            losses += 1
            // Of several bases the others may be answered.
            if losses < SunSpecFinder.patience, walk.base != nil || bases.count == 1 { return nil }
            if walk.base == nil { isDefinite = false }
        }
        losses = 0
        if walk.next != nil {
            walk.take(outcome)
            return walk.next == nil ? endWalk(isLost: isLost, at: now) : nil
        }
        if let question = questions.popFirst() {
            if case .words(let words) = outcome { chain?.take(words, for: question) } else { chain?.take(nil, for: question) }
            if isLost { chain?.isUncertain = true }
        }
        return questions.isEmpty ? end(at: now) : nil
    }

    private mutating func endWalk(isLost: Bool, at now: Uptime) -> Ending? {
        guard let base = walk.base else {
            guard isDefinite else {
                begin()
                return nil
            }
            isSearching = false
            ended = now
            return .notSunSpec
        }
        var chain = SunSpecChain(base: base, models: walk.models)
        chain.isUncertain = isLost
        questions = chain.questions[...]
        self.chain = chain
        return questions.isEmpty ? end(at: now) : nil
    }

    private mutating func end(at now: Uptime) -> Ending? {
        guard var chain else { return nil }
        isSearching = false
        ended = now
        if chain.floatOrder == nil, chain.questions.contains(where: { if case .floatOrder = $0 { true } else { false } }) {
            chain.isUncertain = true
        }
        self.chain = chain
        return .found(chain)
    }

    /// Nothing came, or only word that the device is busy or not reached.
    private static func isLost(_ outcome: BlockAnswer.Outcome) -> Bool {
        switch outcome {
        case .words: false
        case .fault(.exception(let code)): [5, 6, 10, 11].contains(code)
        case .fault(.timeout), .fault(.garbled), .fault(.noConnection): true
        }
    }
}
