import Metering

/// Announces a device's points to Home Assistant, one retained message each.
///
/// - Source: Home Assistant documentation, "MQTT", section "MQTT Discovery", and "Sensor entity" (device and state classes).
enum HomeAssistant {
    static func announcements(of source: RecordSource, batch: Batch, prefix: String, template: String, availability: String?)
        -> [MQTTMessage]
    {
        let entry = source.entry
        let device = "\(batch.gateway)_\(entry.device)"
        let state = MQTTSettings.topic(template, gateway: batch.gateway, device: entry.device, role: entry.role.rawValue)
        var seen: Set<String> = []
        return source.decoder.selected.map { source.decoder.quantities[$0] }.filter { $0.kind != .text && seen.insert($0.id).inserted }.map
        { quantity in
            let facts: [(String, String?)] = [
                ("name", quantity.id), ("unique_id", "meterd_\(device)_\(quantity.id)"), ("state_topic", state),
                // A poll brings the points that were due; the others keep their state.
                ("value_template", "{{ value_json['values']['\(quantity.id)'] | default(this.state) }}"),
                ("unit_of_measurement", unit(quantity)), ("device_class", deviceClass(quantity)),
                ("state_class", quantity.kind == .counter ? "total_increasing" : quantity.kind == .gauge ? "measurement" : nil),
                ("availability_topic", availability),
            ]
            var payload: [UInt8] = [UInt8(ascii: "{")]
            for case (let key, let value?) in facts {
                payload.write(string: key)
                payload.append(UInt8(ascii: ":"))
                payload.write(string: value)
                payload.append(UInt8(ascii: ","))
            }
            payload.write("\"device\":{\"identifiers\":[")
            payload.write(string: "meterd_\(device)")
            payload.write("],\"name\":")
            payload.write(string: entry.device)
            payload.write(",\"model\":")
            payload.write(string: entry.profile)
            payload.write("}}")
            let node = String(device.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "_" })
            return MQTTMessage(topic: "\(prefix)/sensor/\(node)/\(quantity.id)/config", payload: payload, retained: true)
        }
    }

    /// In Home Assistant's spelling; nil for ratios and codes.
    private static func unit(_ quantity: Quantity) -> String? {
        switch quantity.unit {
        case "", "1": nil
        case "Cel": "°C"
        case "m3": "m³"
        case "m3/h": "m³/h"
        case "W/m2": "W/m²"
        case let unit: unit
        }
    }

    private static func deviceClass(_ quantity: Quantity) -> String? {
        switch quantity.unit {
        case "W": "power"
        case "Wh": "energy"
        case "V": "voltage"
        case "A": "current"
        case "Hz": "frequency"
        case "var": "reactive_power"
        case "VA": "apparent_power"
        case "Cel": "temperature"
        case "W/m2": "irradiance"
        case "m3" where quantity.id.contains("water"): "water"
        case "m3" where quantity.id.contains("gas"): "gas"
        default: nil
        }
    }
}
