import Glibc
import Metering

/// Why a bus or a device on it could not be read: a code for machines, a sentence for people, the cause.
package struct BusError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable {
        // The port or connection is not there.
        case connectionRefused = "connection_refused"
        case connectionLost = "connection_lost"
        case connectTimeout = "connect_timeout"
        case unreachable
        case unknownHost = "unknown_host"
        /// The name server has not answered yet.
        case resolving
        case noSuchPort = "no_such_port"
        case permissionDenied = "permission_denied"
        case portBusy = "port_busy"
        case badLineFormat = "bad_line_format"
        /// The port's driver cannot switch an RS-485 line as it is told to.
        case directionRefused = "direction_refused"
        case tooManyFiles = "too_many_files"
        case portFailed = "port_failed"
        /// Just connected; the device wants silence first.
        case settling
        // The line is there, and what came over it was no answer.
        case timeout
        case garbled
        case ambiguous
        case badUnit = "bad_unit"
    }

    package var code: Code
    /// What is wrong and how to mend it, lower case, naming the thing.
    package var sentence: String
    /// The operating system's error number, if it was the one to say no.
    package var cause: Int32?

    package init(_ code: Code, _ sentence: String, cause: Int32? = nil) {
        self.code = code
        self.sentence = sentence
        self.cause = cause
    }

    package var description: String { sentence }

    /// What the points of the visit get.
    package var fault: ReadFault {
        switch code {
        case .timeout, .ambiguous, .badUnit: .timeout
        case .garbled: .garbled
        default: .noConnection
        }
    }

    /// An error number of open(2), connect(2), read(2) or write(2) on `subject`, a path or `host:port`.
    static func system(_ number: Int32, on subject: String) -> BusError {
        switch number {
        case ECONNREFUSED:
            BusError(.connectionRefused, "\(subject): connection refused; is the port right and the device on?", cause: number)
        case ECONNRESET, EPIPE:
            BusError(.connectionLost, "\(subject): the other side closed the connection", cause: number)
        case ETIMEDOUT, EINPROGRESS:
            BusError(
                .connectTimeout, "\(subject): no answer to the connection request; is the address right and the device on?", cause: number)
        case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN:
            BusError(.unreachable, "\(subject): no route to the host; check network and cable", cause: number)
        case ENOENT, ENODEV, ENXIO:
            BusError(.noSuchPort, "no such device file \(subject); is the adapter plugged in?", cause: number)
        case EPERM where subject.hasPrefix("/"):
            // The mode of a file refuses with EACCES, the service manager with EPERM.
            BusError(
                .permissionDenied,
                "\(subject): the service may not use ports of this driver; sudo meterctl doctor names the DeviceAllow= that its unit lacks",
                cause: number)
        case EACCES, EPERM:
            BusError(.permissionDenied, "permission denied on \(subject): add the user to group dialout", cause: number)
        case EBUSY:
            busy(subject, holder: nil)
        case EMFILE, ENFILE:
            BusError(.tooManyFiles, "\(subject): too many open files", cause: number)
        default:
            BusError(.portFailed, "\(subject): \(String(cString: strerror(number)))", cause: number)
        }
    }

    /// - Parameter holder: nil when it cannot be seen: the packaged service has no table of locks in its `/proc`.
    static func busy(_ subject: String, holder: String?) -> BusError {
        let user = holder ?? "another program (sudo meterctl doctor names the one that has locked it)"
        return BusError(.portBusy, "\(subject) is in use by \(user); stop it, or give this bus another port", cause: EBUSY)
    }
}

/// A reader that can say more about its last fault than `ReadFault` does.
package protocol FaultExplaining: Sendable {
    /// Why the last visit failed; nil after one that did not.
    var lastError: BusError? { get }
}
