import Metering

/// A three-phase meter somewhere in the plant.
package struct SimulatedMeter: SimulatedDevice {
    package enum Model: Hashable, Sendable { case sdm630, iem3155 }
    package enum Place: Hashable, Sendable {
        case grid
        case submeter
        /// One of the meters added for load, from 1.
        case extra(Int)
    }

    package var plant: Plant
    package var model: Model
    package var place: Place
    package var unit: UInt8
    package var serial: UInt32

    package init(plant: Plant, model: Model, place: Place, unit: UInt8, serial: UInt32) {
        self.plant = plant
        self.model = model
        self.place = place
        self.unit = unit
        self.serial = serial
    }

    /// The SDM630 gives at most 40 floats a request.
    package var requestLimit: Int { model == .sdm630 ? 80 : 125 }

    /// What the meter sees: the truth behind its registers.
    package func view(at time: Timestamp, reset: Timestamp? = nil) -> MeterView {
        var view = view(plant.state(at: time))
        if let reset { view.energy = view.energy.since(self.view(plant.state(at: reset)).energy) }
        return view
    }

    private func view(_ state: PlantState) -> MeterView {
        switch place {
        case .grid: state.gridMeter
        case .submeter: state.submeterView
        case .extra(let number): plant.extraMeter(number, state: state)
        }
    }

    package func image(at time: Timestamp, reset: Timestamp?) -> RegisterImage {
        let view = view(at: time, reset: reset)
        return switch model {
        case .sdm630: SDM630.image(view, unit: unit, serial: serial)
        case .iem3155: IEM3155.image(view, serial: serial)
        }
    }
}
