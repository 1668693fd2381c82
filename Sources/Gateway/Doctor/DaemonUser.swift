import Glibc

/// Whom the daemon runs as, and what the rights of a file mean for it.
package struct DaemonUser: Hashable, Sendable {
    package var name: String
    package var id: uid_t
    package var groups: Set<gid_t>

    package init(name: String, id: uid_t, groups: Set<gid_t>) {
        self.name = name
        self.id = id
        self.groups = groups
    }

    /// The user of this name with its groups and those that the unit adds; nil when the machine has no such user.
    static func named(_ name: String, and more: [String]) -> DaemonUser? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var room = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
        var count: Int32 = 256
        var groups = [gid_t](repeating: 0, count: Int(count))
        guard getgrouplist(name, entry.pw_gid, &groups, &count) >= 0 else { return nil }
        let added = more.compactMap { groupID($0) }
        return DaemonUser(name: name, id: entry.pw_uid, groups: Set(groups.prefix(Int(count))).union(added))
    }

    /// Of this process.
    static func current() -> DaemonUser {
        var groups = [gid_t](repeating: 0, count: 256)
        let count = getgroups(Int32(groups.count), &groups)
        return DaemonUser(name: userName(geteuid()), id: geteuid(), groups: Set(groups.prefix(Int(max(0, count)))).union([getegid()]))
    }

    /// What a file's mode allows: 4 to read, 2 to write, 1 to search, together as a sum. Root may all.
    package func may(_ wish: mode_t, owner: uid_t, group: gid_t, mode: mode_t) -> Bool {
        if id == 0 { return true }
        let bits = id == owner ? mode >> 6 : groups.contains(group) ? mode >> 3 : mode
        return bits & wish == wish
    }

    func may(_ wish: mode_t, _ facts: stat) -> Bool { may(wish, owner: facts.st_uid, group: facts.st_gid, mode: facts.st_mode) }

    static func groupID(_ name: String) -> gid_t? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var room = [CChar](repeating: 0, count: 65_536)
        guard getgrnam_r(name, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
        return entry.gr_gid
    }

    static func groupName(_ id: gid_t) -> String {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var room = [CChar](repeating: 0, count: 65_536)
        guard getgrgid_r(id, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.gr_name else { return String(id) }
        return String(cString: name)
    }

    static func userName(_ id: uid_t) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var room = [CChar](repeating: 0, count: 16_384)
        guard getpwuid_r(id, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.pw_name else { return String(id) }
        return String(cString: name)
    }
}
