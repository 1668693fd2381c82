/// The row number of a catalog entry in the database; given by the store, never reused.
package struct CatalogID: Hashable, Comparable, Sendable {
    package var rawValue: Int64
    package init(_ rawValue: Int64) { self.rawValue = rawValue }
    package static func < (a: CatalogID, b: CatalogID) -> Bool { a.rawValue < b.rawValue }
}

/// Everything that is needed to decode the polls of one device for ever: the profile's text and the device's settings.
///
/// Entries are rows of the same database as the polls and never change. Another profile text or setting makes another entry.
package struct CatalogEntry: Hashable, Sendable {
    package var device: String
    package var unit: UInt8
    package var role: Role
    /// The profile's name, e.g. `eastron-sdm630`.
    package var profile: String
    /// The profile file as it was read.
    package var profileText: String
    /// True when the meter is wired the wrong way round: signs and import/export change places.
    package var invert: Bool

    package init(device: String, unit: UInt8, role: Role, profile: String, profileText: String, invert: Bool = false) {
        self.device = device
        self.unit = unit
        self.role = role
        self.profile = profile
        self.profileText = profileText
        self.invert = invert
    }

    /// The text whose SHA-256 names the entry: one field a line, the profile last.
    package var canonicalText: String {
        "meterd catalog 1\ndevice \(device)\nunit \(unit)\nrole \(role.rawValue)\ninvert \(invert)\nprofile \(profile)\n\n\(profileText)"
    }
}

/// What a device stands for in the plant's energy balance.
package enum Role: String, Hashable, Sendable, CaseIterable {
    case grid, load, pv, battery, genset, water, gas, heat, sensor
}
