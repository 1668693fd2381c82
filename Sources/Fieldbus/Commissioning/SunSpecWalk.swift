import Metering

/// Walks the chain of SunSpec models of a device: where it begins, which models there are, how long each is.
///
/// A value: `next` says which block to read, `take` what came. It trusts no length, reads the id and the length of a model apart from what
/// follows (some devices serve nothing after the end marker), and ends after `modelLimit` models.
///
///     40000: 5375 6E53   0001 0042 …   0067 0032 …   FFFF 0000       "SunS", model 1 at 40002 (L 66), model 103 at 40070 (L 50), end
///
/// - Source: SunSpec Device Information Model Specification V1.1, "Device Discovery"; base addresses in the order of the reference client.
package struct SunSpecWalk: Hashable, Sendable {
    package static let bases: [UInt16] = [40_000, 0, 50_000]
    /// The marker and one end marker must fit behind it.
    package static let lastBase = 65_532
    package static let modelLimit = 64
    static let marker: [UInt16] = [0x5375, 0x6E53]

    package typealias Model = SunSpecModel

    package enum Ending: Hashable, Sendable {
        /// No marker at any base.
        case notSunSpec
        /// The end marker was read.
        case complete
        /// It ended otherwise; the models found so far are good.
        case broken(String)
    }

    private enum Step: Hashable, Sendable {
        case marker(Int)
        case identifier(at: UInt16)
        case length(id: UInt16, at: UInt16)
        case ended(Ending)
    }

    private let bases: [UInt16]
    private var step: Step
    package private(set) var base: UInt16?
    package private(set) var models: [Model] = []

    /// - Parameter bases: where the marker may be, in the order to look.
    package init(bases: [UInt16] = SunSpecWalk.bases) {
        self.bases = bases
        step = bases.isEmpty ? .ended(.notSunSpec) : .marker(0)
    }

    /// Nil when the walk is over.
    package var next: Block? {
        switch step {
        case .marker(let index): Block(.holding, bases[index], count: 2)
        case .identifier(let address), .length(_, let address): Block(.holding, address, count: 1)
        case .ended: nil
        }
    }

    /// Nil while it goes on.
    package var ending: Ending? { if case .ended(let ending) = step { ending } else { nil } }

    package mutating func take(_ outcome: BlockAnswer.Outcome) {
        switch step {
        case .marker(let index): takeMarker(outcome, index)
        case .identifier(let address): takeIdentifier(outcome, address)
        case .length(let id, let address): takeLength(outcome, id, address)
        case .ended: return
        }
    }

    private mutating func takeMarker(_ outcome: BlockAnswer.Outcome, _ index: Int) {
        if outcome == .words(SunSpecWalk.marker) {
            base = bases[index]
            step = next(after: Int(bases[index]) + 2)
        } else {
            step = index + 1 < bases.count ? .marker(index + 1) : .ended(.notSunSpec)
        }
    }

    private mutating func takeIdentifier(_ outcome: BlockAnswer.Outcome, _ address: UInt16) {
        switch outcome {
        case .words(let words) where words.count == 1:
            step = words[0] == 0xFFFF ? .ended(.complete) : .length(id: words[0], at: address &+ 1)
        case .words: step = .ended(.broken("the id at \(address) has not one word"))
        case .fault(let fault): step = .ended(.broken("\(fault.name) at \(address), before the end marker"))
        }
    }

    private mutating func takeLength(_ outcome: BlockAnswer.Outcome, _ id: UInt16, _ address: UInt16) {
        guard case .words(let words) = outcome, words.count == 1 else {
            step = .ended(.broken("model \(id) at \(address - 1) has no length"))
            return
        }
        guard id != 0, words[0] != 0xFFFF, words[0] != 0 else {
            step = .ended(.broken("model \(id) at \(address - 1) has length \(words[0])"))
            return
        }
        models.append(Model(id: id, address: address - 1, length: words[0]))
        step = next(after: Int(address) + 1 + Int(words[0]))
    }

    private func next(after address: Int) -> Step {
        guard models.count < SunSpecWalk.modelLimit else { return .ended(.broken("more than \(SunSpecWalk.modelLimit) models")) }
        guard address < 65_535 else { return .ended(.broken("the models run past address 65535")) }
        return .identifier(at: UInt16(address))
    }
}
