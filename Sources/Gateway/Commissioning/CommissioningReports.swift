import Fieldbus
import Metering

/// Why a request has no words.
package struct FaultReport: Hashable, Sendable, Decodable {
    /// `timeout`, `garbled`, `no_connection` or `exception`.
    package var code: String
    /// The Modbus exception code; nil for other faults.
    package var exception: Int?
    package var text: String

    init(_ fault: ReadFault) {
        switch fault {
        case .noConnection: (code, exception, text) = ("no_connection", nil, "the port or connection is not there; see meterctl status")
        case .timeout: (code, exception, text) = ("timeout", nil, "no answer in time")
        case .garbled: (code, exception, text) = ("garbled", nil, "something came that is no answer: check baud rate, format and wiring")
        case .exception(let number): (code, exception, text) = ("exception", Int(number), FaultReport.meaning(of: number))
        }
    }

    /// - Source: Modbus Application Protocol V1.1b3, 7.
    private static func meaning(of exception: UInt8) -> String {
        switch exception {
        case 1: "exception 1: the device does not know this function; try another --kind"
        case 2: "exception 2: the device has no such registers"
        case 3: "exception 3: the device does not like the count; try another --count"
        case 4: "exception 4: the device failed"
        case 6: "exception 6: the device is busy"
        case 10: "exception 10: the gateway has no path to this unit"
        case 11: "exception 11: nobody answers the gateway at this unit"
        default: "exception \(exception)"
        }
    }
}

extension FaultReport: JSONValue {
    private enum CodingKeys: String, CodingKey { case code, exception, text }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.code, code)
            $0.field(CodingKeys.exception, exception)
            $0.field(CodingKeys.text, text)
        }
    }
}

/// `/v1/read`: the raw words of one request.
package struct ReadReport: Hashable, Sendable, Decodable {
    package var bus: String
    package var unit: Int
    package var table: String
    package var address: Int
    package var count: Int
    package var time: Timestamp
    /// Nil when there is a fault.
    package var words: [UInt16]?
    package var fault: FaultReport?

    package init(bus: String, unit: Int, block: Block, time: Timestamp) {
        self.bus = bus
        self.unit = unit
        table = block.table.name
        address = Int(block.address)
        count = Int(block.count)
        self.time = time
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        bus = try container.decode(String.self, forKey: .bus)
        unit = try container.decode(Int.self, forKey: .unit)
        table = try container.decode(String.self, forKey: .table)
        address = try container.decode(Int.self, forKey: .address)
        count = try container.decode(Int.self, forKey: .count)
        time = try container.time(.time)
        words = try container.decodeIfPresent([UInt16].self, forKey: .words)
        fault = try container.decodeIfPresent(FaultReport.self, forKey: .fault)
    }
}

extension ReadReport: JSONValue {
    private enum CodingKeys: String, CodingKey { case bus, unit, table, address, count, time, words, fault }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.bus, bus)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.table, table)
            $0.field(CodingKeys.address, address)
            $0.field(CodingKeys.count, count)
            $0.field(CodingKeys.time, time)
            $0.field(CodingKeys.words, words)
            $0.field(CodingKeys.fault, fault)
        }
    }
}

/// `/v1/identify`: what one unit is.
package struct IdentifyReport: Hashable, Sendable, Decodable {
    package struct SunSpec: Hashable, Sendable, Decodable {
        package var base: Int
        package var manufacturer: String?
        package var model: String?
        package var version: String?
        package var serial: String?
        package var models: [Int]
        /// Those of them that meterd does not know and steps over, with their lengths in registers.
        package var unknown: [Unknown]?

        package struct Unknown: Hashable, Sendable, Decodable {
            package var model: Int
            package var length: Int
        }
    }

    package struct Fit: Hashable, Sendable, Decodable {
        package var profile: String
        package var vendor: String
        package var models: [String]
    }

    package var bus: String
    package var unit: Int
    /// The configured device of this address; nil when it is none.
    package var device: String?
    package var present: Bool
    /// Why it does not answer; nil when it does.
    package var fault: FaultReport?
    package var sunSpec: SunSpec?
    package var profiles: [Fit]
    package var requests: Int

    init(bus: String, unit: Int, device: String?, finding: DeviceFinding) {
        self.bus = bus
        self.unit = unit
        self.device = device
        present = finding.isPresent
        fault = finding.isPresent ? nil : finding.firstFault.map { FaultReport($0) }
        sunSpec = finding.sunSpecBase.map { base in
            SunSpec(
                base: Int(base), manufacturer: finding.sunSpecIdentity?.manufacturer, model: finding.sunSpecIdentity?.model,
                version: finding.sunSpecIdentity?.version, serial: finding.sunSpecIdentity?.serial,
                models: finding.sunSpecModels.map { Int($0.id) },
                unknown: finding.sunSpecUnknown.map { SunSpec.Unknown(model: Int($0.id), length: Int($0.length)) })
        }
        profiles = finding.fitting.map { Fit(profile: $0.name, vendor: $0.vendor, models: $0.models) }
        if let sunSpec, finding.sunSpecModels.count > finding.sunSpecUnknown.count {
            profiles.append(
                Fit(profile: SunSpecProfile.name, vendor: sunSpec.manufacturer ?? "", models: [sunSpec.model].compactMap { $0 }))
        }
        requests = finding.requests
    }

    private enum CodingKeys: String, CodingKey {
        case bus, unit, device, present, fault
        case sunSpec = "sunspec"
        case profiles, requests
    }
}

extension IdentifyReport: JSONValue {
    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.bus, bus)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.device, device)
            $0.field(CodingKeys.present, present)
            $0.field(CodingKeys.fault, fault)
            $0.field(CodingKeys.sunSpec, sunSpec)
            $0.field(CodingKeys.profiles, profiles)
            $0.field(CodingKeys.requests, requests)
        }
    }
}

extension IdentifyReport.SunSpec: JSONValue {
    private enum CodingKeys: String, CodingKey { case base, manufacturer, model, version, serial, models, unknown }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.base, base)
            $0.field(CodingKeys.manufacturer, manufacturer)
            $0.field(CodingKeys.model, model)
            $0.field(CodingKeys.version, version)
            $0.field(CodingKeys.serial, serial)
            $0.field(CodingKeys.models, models)
            $0.field(CodingKeys.unknown, unknown ?? [])
        }
    }
}

extension IdentifyReport.SunSpec.Unknown: JSONValue {
    private enum CodingKeys: String, CodingKey { case model, length }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.model, model)
            $0.field(CodingKeys.length, length)
        }
    }
}

extension IdentifyReport.Fit: JSONValue {
    private enum CodingKeys: String, CodingKey { case profile, vendor, models }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.profile, profile)
            $0.field(CodingKeys.vendor, vendor)
            $0.field(CodingKeys.models, models)
        }
    }
}
