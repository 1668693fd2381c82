import TestSupport

/// How a run of the real program ended.
struct MeterctlRun {
    /// The exit status; nil when it was killed or did not end.
    var status: Int32?
    var output: String
    var error: String
}

/// Runs the meterctl that was built beside the tests.
func meterctl(_ arguments: [String], environment: [String: String] = [:]) async throws -> MeterctlRun {
    let run = try await runToEnd("meterctl", arguments, environment: environment)
    let status: Int32? = if case .code(let code) = run.exit { code } else { nil }
    return MeterctlRun(status: status, output: run.output, error: run.errors)
}
