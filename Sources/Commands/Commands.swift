// Commands: The commands of meterctl, one file each. They ask the daemon and show its answer; what a report holds and how a screen looks is
// Gateway's.
//
// A new command is a file here and a name in the list of `Meterctl`. The help, the completions and the manual page follow from it.

/// The program meterctl. It is a library so that meterd can be meterctl too: see `docs/decisions/0022-one-program-two-names.md`.
package enum MeterctlProgram {
    /// Runs the command that the arguments of this process name, and ends the process when it failed.
    package static func main() async { await Meterctl.main() }
}
