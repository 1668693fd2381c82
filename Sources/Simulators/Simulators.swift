// Simulators: meters and servers that can be told to misbehave.
//
// A factory whose truth is known at every instant, served over real Modbus, and a receiver of batches that keeps books on what it
// accepted. For tests, demonstrations and measurements; never linked into meterd.

import Glibc

/// What went wrong in a simulator: a code for machines, a sentence for people, the error number behind it when there is one.
package struct SimulatorError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The text of an option cannot be read.
        case usage
        /// An address, port or file cannot be had.
        case unavailable
        /// A file holds what it should not: no batches of a sink, no profile.
        case corrupt
    }

    package var code: Code
    package var text: String
    package var errorNumber: Int32?

    package init(_ code: Code, _ text: String, errorNumber: Int32? = nil) {
        self.code = code
        self.text = text
        self.errorNumber = errorNumber
    }

    package var description: String {
        guard let errorNumber else { return text }
        return "\(text): \(SimulatorError.words(of: errorNumber))"
    }

    private static func words(of number: Int32) -> String {
        switch number {
        case EADDRINUSE: "the address is in use"
        case EACCES: "permission denied"
        case EADDRNOTAVAIL: "no such address on this machine"
        case ENOENT: "no such file or directory"
        case EEXIST: "it exists already"
        case EMFILE: "too many open files"
        default: "error number \(number)"
        }
    }
}
