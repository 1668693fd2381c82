import Metering

/// A message and the records in it.
struct MQTTParcel: Sendable {
    var message: MQTTMessage
    var seqs: [Int64]
}

/// Turns batches into messages; docs/outputs.md says what stands in them.
struct MQTTEncoder: Sendable {
    /// ThingsBoard ends the connection at a payload of more than 65,536 bytes.
    static let thingsboardBytes = 48 * 1024
    static let thingsboardTopic = "v1/gateway/telemetry"

    private let settings: MQTTSettings
    private var lines = JSONLinesFormat()
    private var writer = JSONRecordWriter()
    private var batchEncoder = JSONBatchEncoder()
    /// One gateway has one encoder.
    private var topics = PerSource<String>()
    /// The messages that were measured last, one a record, so that sending does not write them again.
    private var measured: (journalID: String, historical: Bool, parcels: [MQTTParcel]) = ("", false, [])
    private var gateway = ""
    private var saidOnline = false
    /// Devices announced on this connection, and those about to be.
    private var announced: Set<ObjectIdentifier> = []
    private var announcing: [RecordSource] = []

    init(_ settings: MQTTSettings) { self.settings = settings }

    mutating func fitting(_ batch: Batch, bytes: Int) -> Int {
        guard case .records(let template) = settings.layout else { return lines.records(of: batch, limit: bytes).count }
        var (parcels, room): ([MQTTParcel], Int) = ([], bytes)
        for entry in batch.records {
            let parcel = record(entry, of: batch, template)
            room -= parcel.message.payload.count
            if room < 0, !parcels.isEmpty { break }
            parcels.append(parcel)
        }
        measured = (batch.journalID, batch.historical, parcels)
        return parcels.count
    }

    mutating func size(of batch: Batch) -> Int {
        guard case .records(let template) = settings.layout else { return lines.records(of: batch, limit: .max).bytes.count }
        let parcels = records(batch, template)
        measured = (batch.journalID, batch.historical, parcels)
        return parcels.reduce(0) { $0 + $1.message.payload.count }
    }

    mutating func parcels(_ batch: Batch) -> [MQTTParcel] {
        switch settings.layout {
        case .records(let template): records(batch, template)
        case .thingsboard: thingsboard(batch)
        case .batches(let topic, let bytes): batches(batch, topic: topic, bytes: bytes)
        }
    }

    /// As many records a message as fit, in the frame of a batch that holds just them.
    private mutating func batches(_ batch: Batch, topic template: String, bytes: Int) -> [MQTTParcel] {
        let topic = MQTTSettings.topic(template, gateway: batch.gateway)
        var parcels: [MQTTParcel] = []
        var rest = batch.records[...]
        while !rest.isEmpty {
            var part = batch
            part.records = Array(rest)
            let (records, count) = batchEncoder.records(of: part, limit: bytes)
            part.records = Array(rest.prefix(count))
            (part.first, part.last) = (part.records[0].seq, part.records[count - 1].seq)
            let message = MQTTMessage(topic: topic, payload: batchEncoder.frame(records, of: part))
            parcels.append(MQTTParcel(message: message, seqs: part.records.map(\.seq)))
            rest = rest.dropFirst(count)
        }
        return parcels
    }

    private mutating func records(_ batch: Batch, _ template: String) -> [MQTTParcel] {
        let isSame = measured.journalID == batch.journalID && measured.historical == batch.historical
        var known = isSame ? measured.parcels[...] : []
        measured.parcels = []
        return batch.records.map { entry in
            known = known.drop { $0.seqs[0] < entry.seq }
            if let parcel = known.first, parcel.seqs[0] == entry.seq { return parcel }
            return record(entry, of: batch, template)
        }
    }

    private mutating func record(_ record: BatchRecord, of batch: Batch, _ template: String) -> MQTTParcel {
        var payload: [UInt8] = []
        payload.reserveCapacity(24 * (record.readings.count + 8))
        lines.append(record, of: batch, first: true, to: &payload)
        payload.removeLast()  // the line end
        if batch.historical {
            payload.removeLast()
            payload.write(",\"historical\":true}")
        }
        let topic = topics.of(record.source) { source in
            MQTTSettings.topic(template, gateway: batch.gateway, device: source.entry.device, role: source.entry.role.rawValue)
        }
        return MQTTParcel(message: MQTTMessage(topic: topic, payload: payload), seqs: [record.seq])
    }

    // MARK: ThingsBoard

    /// `{"gw-017.main":[{"ts":1795459200123,"values":{"voltage_l1":230.4}}]}`, as many records a message as fit.
    private mutating func thingsboard(_ batch: Batch) -> [MQTTParcel] {
        var parcels: [MQTTParcel] = []
        var devices: [(name: String, entries: [UInt8])] = []
        var (seqs, size): ([Int64], Int) = ([], 0)
        func close() {
            guard !seqs.isEmpty else { return }
            var payload: [UInt8] = [UInt8(ascii: "{")]
            for (index, device) in devices.enumerated() {
                if index > 0 { payload.append(UInt8(ascii: ",")) }
                payload.write(string: device.name)
                payload.write(":[")
                payload.append(contentsOf: device.entries)
                payload.append(UInt8(ascii: "]"))
            }
            payload.append(UInt8(ascii: "}"))
            parcels.append(MQTTParcel(message: MQTTMessage(topic: MQTTEncoder.thingsboardTopic, payload: payload), seqs: seqs))
            (devices, seqs, size) = ([], [], 0)
        }
        for record in batch.records {
            var entry: [UInt8] = []
            writer.write(thingsboard: record, to: &entry)
            // A device's name is unique in a ThingsBoard tenant, and "main" stands in many gateways.
            let name = "\(batch.gateway).\(record.source.entry.device)"
            let cost = entry.count + name.utf8.count + 8
            if size + cost > MQTTEncoder.thingsboardBytes { close() }
            if let index = devices.firstIndex(where: { $0.name == name }) {
                devices[index].entries.append(UInt8(ascii: ","))
                devices[index].entries += entry
            } else {
                devices.append((name, entry))
            }
            seqs.append(record.seq)
            size += cost
        }
        close()
        return parcels
    }

    // MARK: What is said beside the records

    /// A new connection begins: all is to be said again.
    mutating func begin(gateway: String) {
        self.gateway = gateway
        saidOnline = false
        announced = []
    }

    /// - Parameter gateway: nil for that of this connection.
    func availability(_ state: String, gateway: String?) -> MQTTMessage? {
        settings.availability.map {
            MQTTMessage(topic: MQTTSettings.topic($0, gateway: gateway ?? self.gateway), payload: Array(state.utf8), retained: true)
        }
    }

    /// What must be said before this batch.
    mutating func preface(_ batch: Batch) -> [MQTTMessage] {
        var messages: [MQTTMessage] = []
        if !saidOnline, let online = availability("online", gateway: batch.gateway) { messages.append(online) }
        announcing = []
        guard let prefix = settings.discovery, case .records(let template) = settings.layout else { return messages }
        var seen = announced
        for source in batch.records.map(\.source) where seen.insert(ObjectIdentifier(source)).inserted {
            announcing.append(source)
            messages += HomeAssistant.announcements(
                of: source, batch: batch, prefix: prefix, template: template,
                availability: availability("", gateway: batch.gateway)?.topic)
        }
        return messages
    }

    mutating func prefaceIsOut() {
        saidOnline = true
        for source in announcing { announced.insert(ObjectIdentifier(source)) }
        announcing = []
    }
}

extension JSONRecordWriter {
    /// `{"ts":...,"values":{"voltage_l1":230.4,"quality_voltage_l2":1}}`. Without `ts` ThingsBoard would take the time of arrival.
    mutating func write(thingsboard record: BatchRecord, to bytes: inout [UInt8]) {
        let shape = shape(of: record.source)
        let readings = shape.distinct(record.readings)
        bytes.write("{\"ts\":")
        bytes.write(integer: record.time.milliseconds)
        bytes.write(",\"values\":{\"seq\":")
        bytes.write(integer: record.seq)
        for reading in readings {
            switch reading.value {
            case .number(let number):
                shape.writeKey(reading.point, bare: false, to: &bytes)
                number.write(to: &bytes)
            case .text(let text):
                shape.writeKey(reading.point, bare: false, to: &bytes)
                bytes.write(string: text)
            case nil: break
            }
        }
        for reading in readings where reading.quality != .good {
            bytes.append(UInt8(ascii: ","))
            bytes.write(string: "quality_" + shape.quantity(reading.point).id)
            bytes.append(UInt8(ascii: ":"))
            bytes.write(integer: Int64(reading.quality.rawValue))
        }
        if record.clock != .synchronized {
            bytes.write(",\"quality_time\":")
            bytes.write(integer: Int64(Quality.timeUnsynchronized.rawValue))
        }
        bytes.write("}}")
    }
}
