import Testing

/// Help texts are golden: a change in them is a change of what people read and of what completions and manual pages are made from.
@Suite(.timeLimit(.minutes(2))) struct HelpTests {
    @Test func everyHelpEndsWithAnExample() async throws {
        for (command, text) in HelpTests.pages {
            let run = try await meterctl(command.split(separator: " ").map(String.init) + ["--help"])
            #expect(run.status == 0)
            #expect(run.error.isEmpty)
            #expect(run.output == text + "\n")
            let lines = text.split(separator: "\n")
            #expect(lines.suffix(2).first == "Example:" && lines.last?.hasPrefix("  meterctl") == true)
        }
    }

    @Test func theHelpCommandSaysTheSame() async throws {
        let run = try await meterctl(["help", "status"])
        #expect(run.status == 0)
        #expect(run.output == HelpTests.pages["status"].map { $0 + "\n" })
    }

    private static let pages = [
        "": """
        OVERVIEW: Ask the meterd daemon how it is and what the meters say.

        Exit status: 0 done, 1 failed (also when status says failed), 64 wrong usage,
        65 bad data, 69 daemon not reachable.

        USAGE: meterctl <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          status                  Show whether all is well: health, problems, clock,
                                  journal, buses, devices, outputs.
          devices                 List the meters, inverters and sensors, and whether
                                  they answer.
          readings                Show the newest reading of every point.
          outputs                 List where readings are handed on, and how far each
                                  output has come.
          config                  Look at the daemon's configuration.
          read                    Read registers through the running daemon, and show
                                  what they may mean.
          scan                    Look for devices on a bus, unit by unit, while the
                                  daemon goes on polling.
          identify                Find out what a unit is: which profiles fit, and what
                                  SunSpec says.

          See 'meterctl help <subcommand>' for detailed help.

        Example:
          meterctl status
        """,
        "status": """
        OVERVIEW: Show whether all is well: health, problems, clock, journal, buses,
        devices, outputs.

        Exits 0 when the health is ok or degraded, 1 when it is failed, 69 when the
        daemon is not reachable.

        USAGE: meterctl status [--json] [--socket <path>]

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl status --json
        """,
        "devices": """
        OVERVIEW: List the meters, inverters and sensors, and whether they answer.

        USAGE: meterctl devices [--json] [--quiet] [--socket <path>]

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          -q, --quiet             Print names only, one a line; nothing when there are
                                  none.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl devices
        """,
        "readings": """
        OVERVIEW: Show the newest reading of every point.

        With --watch the table is drawn anew every second on a terminal; elsewhere each
        new reading is printed as a line: time, device, quantity, value, unit, quality.
        With --watch --json each second gives one JSON object on a line.

        USAGE: meterctl readings [<device>] [--watch] [--count <n>] [--json] [--socket <path>]

        ARGUMENTS:
          <device>                Show this device only.

        OPTIONS:
          --watch                 Go on until interrupted, every second.
          --count <n>             With --watch: stop after so many rounds.
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl readings main --watch
        """,
        "outputs": """
        OVERVIEW: List where readings are handed on, and how far each output has come.

        USAGE: meterctl outputs [--json] [--quiet] [--socket <path>]

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          -q, --quiet             Print names only, one a line; nothing when there are
                                  none.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl outputs
        """,
        "config": """
        OVERVIEW: Look at the daemon's configuration.

        USAGE: meterctl config <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          check                   Check a configuration file without starting anything.

          See 'meterctl help config <subcommand>' for detailed help.

        Example:
          meterctl config check
        """,
        "config check": """
        OVERVIEW: Check a configuration file without starting anything.

        Every problem is printed, each as file:line:column: key: what is wrong; how to
        mend it. Exits 0 when the file is valid, 65 when it is not. The daemon need not
        run.

        USAGE: meterctl config check [<file>] [--json]

        ARGUMENTS:
          <file>                  The file to check. (default: /etc/meterd/meterd.toml)

        OPTIONS:
          --json                  Print the verdict as JSON:
                                  {"valid":...,"file":...,"problems":[...]}.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl config check /etc/meterd/meterd.toml
        """,
    ]
}
