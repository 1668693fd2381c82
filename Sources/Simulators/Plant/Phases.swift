/// One value for each of the three phases.
package struct Phases<Value: Hashable & Sendable>: Hashable, Sendable {
    package var l1: Value
    package var l2: Value
    package var l3: Value

    package init(_ l1: Value, _ l2: Value, _ l3: Value) {
        self.l1 = l1
        self.l2 = l2
        self.l3 = l3
    }

    package var all: [Value] { [l1, l2, l3] }
}

extension Phases<Int> {
    package var total: Int { l1 + l2 + l3 }

    static func + (a: Self, b: Self) -> Self { Self(a.l1 + b.l1, a.l2 + b.l2, a.l3 + b.l3) }
    static func - (a: Self, b: Self) -> Self { Self(a.l1 - b.l1, a.l2 - b.l2, a.l3 - b.l3) }

    /// Splits `total` so that the parts sum to it exactly; the shares are per mille of the first two phases.
    static func split(_ total: Int, _ first: Int, _ second: Int) -> Self {
        let l1 = total * first / 1000
        let l2 = total * second / 1000
        return Self(l1, l2, total - l1 - l2)
    }
}

/// The power at one place over one second: whole watts and whole vars per phase. + is import (towards the load).
package struct PhasePower: Hashable, Sendable {
    package var active: Phases<Int>
    package var reactive: Phases<Int>

    package init(active: Phases<Int>, reactive: Phases<Int>) {
        self.active = active
        self.reactive = reactive
    }

    static func + (a: Self, b: Self) -> Self { Self(active: a.active + b.active, reactive: a.reactive + b.reactive) }
    static func - (a: Self, b: Self) -> Self { Self(active: a.active - b.active, reactive: a.reactive - b.reactive) }

    /// Vector sum of active and reactive power, in VA.
    package var apparent: Double { PhasePower.magnitude(active.total, reactive.total) }

    package var apparentPhases: Phases<Double> {
        Phases(
            PhasePower.magnitude(active.l1, reactive.l1), PhasePower.magnitude(active.l2, reactive.l2),
            PhasePower.magnitude(active.l3, reactive.l3))
    }

    /// P / S with the sign of P; 1 when nothing flows.
    package var factor: Double { PhasePower.factor(active.total, apparent) }

    static func factor(_ active: Int, _ apparent: Double) -> Double { apparent == 0 ? 1 : Double(active) / apparent }

    static func magnitude(_ active: Int, _ reactive: Int) -> Double {
        Double(active * active + reactive * reactive).squareRoot()
    }
}
