import Fieldbus
import FoundationEssentials
import Glibc
import Metering

/// The files and devices that the daemon needs.
extension Doctor {
    /// With less than this nothing can be kept for long, whatever the journal's own limit.
    static let leastRoom = 64 << 20
    /// ST_RDONLY of statvfs(3).
    private static let readOnly: UInt = 1

    private func facts(_ path: String) -> (facts: stat, error: Int32) {
        var facts = stat()
        return stat(path, &facts) == 0 ? (facts, 0) : (facts, errno)
    }

    private var who: String { user?.name ?? "the service's user" }

    // MARK: The socket

    var checkSocket: [DoctorCheck] {
        let path = configuration.api.socket
        let (facts, error) = facts(path)
        if error != 0 {
            // A daemon that is down has none; that is told already.
            return []
        }
        guard facts.st_mode & S_IFMT == S_IFSOCK else {
            return [
                .failure("socket", "\(path) is no socket", cure: "move it away, or set [api] socket to another path, and restart meterd")
            ]
        }
        if facts.st_mode & 0o007 != 0 {
            return [
                .warning("socket", "\(path) is open to every user of this machine", cure: "sudo chmod 660 \(path), and see who changed it")
            ]
        }
        return [.ok("socket", "\(path), for user \(DaemonUser.userName(facts.st_uid)) and group \(DaemonUser.groupName(facts.st_gid))")]
    }

    // MARK: The data directory and its disk

    var checkDataDirectory: [DoctorCheck] {
        let path = configuration.gateway.dataDirectory
        let (facts, error) = facts(path)
        guard error == 0 else {
            let cure =
                error == EACCES ? "run this with sudo" : "create it for user \(who): sudo install -d -o \(who) -g \(who) -m 750 \(path)"
            return [.failure("data", "\(path): \(String(cString: strerror(error)))", cure: cure)]
        }
        guard facts.st_mode & S_IFMT == S_IFDIR else {
            return [.failure("data", "\(path) is no directory", cure: "move it away, or set [gateway] data_directory to another path")]
        }
        var checks: [DoctorCheck] = []
        if let user, !user.may(7, facts) {
            checks.append(
                .failure(
                    "data", "user \(user.name) may not write \(path), which is of user \(DaemonUser.userName(facts.st_uid))",
                    cure: "sudo chown -R \(user.name): \(path) && sudo chmod 750 \(path)"))
        } else if let refusal = writeRefusal("data", path) {
            checks.append(refusal)
        } else if facts.st_mode & 0o007 != 0 {
            checks.append(.warning("data", "every user of this machine may look into \(path)", cure: "sudo chmod 750 \(path)"))
        } else {
            checks.append(.ok("data", "\(path), for user \(DaemonUser.userName(facts.st_uid)) alone or with its group"))
        }
        return checks + [checkDisk(path)]
    }

    private func checkDisk(_ path: String) -> DoctorCheck {
        var room = statvfs()
        guard statvfs(path, &room) == 0 else {
            return .failure("disk", "\(path): \(String(cString: strerror(errno)))", cure: "see that it is mounted: findmnt -T \(path)")
        }
        let kind = FileSystem(at: path)
        if let doom = kind.doom {
            return .failure("disk", "\(path) is on \(kind.name): \(doom)", cure: "put data_directory on a disk of this machine")
        }
        if room.f_flag & Doctor.readOnly != 0 {
            return .failure(
                "disk", "\(path) is mounted read-only", cure: "see dmesg for the cause; sudo mount -o remount,rw, or a new card")
        }
        let free = Int(clamping: UInt64(room.f_bavail) &* UInt64(room.f_frsize))
        let text = "\(path) is on \(kind.name), \(Humanize.bytes(free)) are free"
        let used = ["journal.db", "journal.db-wal"].reduce(0) { $0 + Int(facts("\(path)/\($1)").facts.st_size) }
        let wanted = max(0, configuration.journal.sizeLimit - used)
        if free < Doctor.leastRoom { return .failure("disk", text, cure: "make room: readings that are not handed on will be lost") }
        if room.f_files > 0, room.f_favail < 64 {
            return .failure("disk", "\(text), but no new file can be made", cure: "remove files: df -i \(path)")
        }
        if free < wanted {
            let limit = Humanize.bytes(configuration.journal.sizeLimit)
            return .warning(
                "disk", "\(text), and the journal may still grow by \(Humanize.bytes(wanted)) to its limit of \(limit)",
                cure: "make room, or lower [journal] size_limit")
        }
        return .ok("disk", text)
    }

    // MARK: Buses

    /// A serial port is looked at and not opened; of an endpoint the daemon's own word is taken, since many allow one client only.
    func check(_ bus: BusDescription) -> DoctorCheck {
        switch bus.address {
        case .serial(let path, _): return checkPort(bus.name, path)
        case .tcp(let host, let port), .rtuOverTCP(let host, let port):
            let place = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
            guard case .answers(let status) = daemon, let report = status.buses.first(where: { $0.name == bus.name }) else {
                return .ok("bus", about: bus.name, "\(place), not tried: the device may take one client only")
            }
            if report.state == .down {
                let text = status.problems.first { $0.code == "bus_down" && $0.subject == bus.name }?.text ?? "meterd cannot connect"
                return .failure(
                    "bus", about: bus.name, "\(place): \(text)",
                    cure: "ping \(host); look for its power, a firewall, another client that holds the connection")
            }
            return .ok("bus", about: bus.name, "\(place) is \(report.state.rawValue)")
        }
    }

    private func checkPort(_ name: String, _ path: String) -> DoctorCheck {
        let (facts, error) = facts(path)
        guard error == 0 else {
            let cure = "plug the adapter in, and name it as ls -l /dev/serial/by-id does"
            return .failure("bus", about: name, "\(path): \(String(cString: strerror(error)))", cure: cure)
        }
        guard facts.st_mode & S_IFMT == S_IFCHR else {
            return .failure("bus", about: name, "\(path) is no serial port", cure: "name the port as ls -l /dev/serial/by-id does")
        }
        if let user, !user.may(6, facts) {
            let group = DaemonUser.groupName(facts.st_gid)
            let cure =
                facts.st_mode & 0o060 == 0o060 && facts.st_gid != 0
                ? "sudo usermod -aG \(group) \(user.name), and restart meterd"
                : "give it to the group dialout with a udev rule: see /usr/lib/udev/rules.d"
            return .failure("bus", about: name, "user \(user.name) may not use \(path), which is of group \(group)", cure: cure)
        }
        guard let holder = ExclusivePort.holder(ofPath: path) else {
            return refusal(of: facts, name, path) ?? .ok("bus", about: name, "\(path), nobody holds it")
        }
        if holder.hasPrefix("meterd,") { return .ok("bus", about: name, "\(path), held by \(holder)") }
        return .failure(
            "bus", about: name, "\(path) is in use by \(holder)", cure: "stop it: two programs on one line take each other's answers")
    }

    /// What the unit refuses, whatever the file's mode says.
    private func refusal(of port: stat, _ name: String, _ path: String) -> DoctorCheck? {
        let drivers = (try? String(contentsOfFile: surroundings.serialDrivers, encoding: .utf8)) ?? ""
        guard let unit, let driver = DeviceRules(unit).refusedDriver(of: UInt(port.st_rdev), in: drivers) else { return nil }
        return .failure(
            "bus", about: name, "\(unit.file) does not let meterd use \(path): its DeviceAllow= lacks the driver \(driver)",
            cure: "sudo systemctl edit meterd, there [Service] and DeviceAllow=char-\(driver) rw, then sudo systemctl restart meterd")
    }
}

/// The file system that a path is on.
package struct FileSystem: Hashable, Sendable {
    /// `ext4`, as the kernel calls it.
    package var name: String
    /// Why the journal must not be there; nil where it may.
    package var doom: String?

    package init(named name: String) {
        self.name = name
        switch name {
        case "tmpfs", "ramfs", "devtmpfs": doom = "it is gone when the power is"
        case "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs":
            doom = "over a network locks and flushes do not hold what the journal needs"
        case "vfat", "msdos", "exfat": doom = "it keeps no rights and does not survive a power cut well"
        default: break
        }
    }

    /// By the mount point that is the longest beginning of the path; of two at one point the later one is seen.
    ///
    ///     36 25 179:2 / / rw,noatime - ext4 /dev/mmcblk0p2 rw
    ///
    /// - Source: proc(5), /proc/self/mountinfo.
    init(at path: String) {
        let real = realpath(path, nil)
        let whole = real.map { String(cString: $0) } ?? path
        free(real)
        var best = (length: -1, name: "an unknown file system")
        for line in ((try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { continue }
            let point = fields[4].replacing("\\040", with: " ")
            let isAbove = point == "/" || whole == point || whole.hasPrefix(point + "/")
            if isAbove, point.utf8.count >= best.length { best = (point.utf8.count, String(fields[dash + 1])) }
        }
        self.init(named: best.name)
    }
}
