import Testing

/// Help texts are golden: a change in them is a change of what people read and of what completions and manual pages are made from.
@Suite(.timeLimit(.minutes(10))) struct HelpTests {
    @Test func everyHelpEndsWithAnExample() async throws {
        for (command, text) in HelpTests.pages.merging(HelpTests.operationPages, uniquingKeysWith: { $1 }) {
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

    @Test func everyCommandHasAGoldenPage() async throws {
        let golden = Set(HelpTests.pages.keys).union(HelpTests.operationPages.keys)
        for command in try await CommandTree.read().all {
            #expect(golden.contains(command.path), "meterctl \(command.path) --help is not held to a golden page")
        }
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
          buses                   Show how busy each bus is, against what the config
                                  asks of it.
          devices                 List the meters, inverters and sensors, and whether
                                  they answer; show how one of them is asked.
          readings                Show the newest reading of every point.
          outputs                 List where readings are handed on and how far each
                                  output has come; pause, resume or rewind one.
          dead-letters            Look after records that a receiver refused: list,
                                  show, replay, drop.
          journal                 Show what the journal keeps and what was lost, or
                                  export it.
          config                  Look at the daemon's configuration.
          reload                  Have the daemon read its config again and apply it.
          doctor                  Look at all that meterd stands on, and say what is
                                  wrong and how to mend it.
          support-bundle          Put what a helper needs into one file: state, config,
                                  log, doctor; no readings, no secrets.
          log-level               Show the least level that the daemon logs, or set it
                                  until the next start.
          intervals               Show what each counter counted in each quarter hour.
          read                    Read registers through the running daemon, and show
                                  what they may mean.
          scan                    Look for devices on a bus, unit by unit, while the
                                  daemon goes on polling.
          identify                Find out what a unit is: which profiles fit, and what
                                  SunSpec says.
          profiles                List the register maps, show one, or try one out.

          See 'meterctl help <subcommand>' for detailed help.

        Example:
          meterctl status
        """,
        "status": """
        OVERVIEW: Show whether all is well: health, problems, clock, journal, buses,
        devices, outputs.

        With --watch it is drawn anew every second on a terminal; elsewhere each second
        gives a block, or with --json a line.

        Exits 0 when the health is ok or degraded, 1 when it is failed, 69 when the
        daemon is not reachable.

        USAGE: meterctl status [--json] [--watch] [--count <n>] [--socket <path>] [--host <host:port>] [--token-file <file>]

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --watch                 Go on until interrupted, every second.
          --count <n>             With --watch: stop after so many rounds.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl status --json
        """,
        "buses": """
        OVERVIEW: Show how busy each bus is, against what the config asks of it.

        BUSY is the measured share of the last minute in which a request was in flight,
        EXPECTED what the periods ask for by the formula (20 ms turnaround on a line, 5
        ms a round trip on a network): above 100 % polls are skipped. LATE are polls
        that began more than half a period after they were due, SKIPPED those that went
        by. With a name the devices of that bus follow.

        USAGE: meterctl buses [<bus>] [--json] [--quiet] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <bus>                   This bus only, with its devices.

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          -q, --quiet             Print names only, one a line; nothing when there are
                                  none.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl buses line-1
        """,
        "devices": """
        OVERVIEW: List the meters, inverters and sensors, and whether they answer; show
        how one of them is asked.

        With a name: the requests it is asked as they are now, what was learned of it
        (registers it refuses or leaves unanswered), how fast it answers and how long
        it is waited for, and its points.
        With --watch the table is drawn anew every second on a terminal; elsewhere each
        second gives a block, or with --json a line.

        USAGE: meterctl devices [<device>] [--json] [--quiet] [--watch] [--count <n>] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <device>                Show this device, in full.

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          -q, --quiet             Print names only, one a line; nothing when there are
                                  none.
          --watch                 Go on until interrupted, every second.
          --count <n>             With --watch: stop after so many rounds.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl devices main
        """,
        "readings": """
        OVERVIEW: Show the newest reading of every point.

        With --watch the table is drawn anew every second on a terminal; elsewhere each
        new reading is printed as a line: time, device, quantity, value, unit, quality.
        With --watch --json each second gives one JSON object on a line.

        USAGE: meterctl readings [<device>] [--json] [--watch] [--count <n>] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <device>                Show this device only.

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --watch                 Go on until interrupted, every second.
          --count <n>             With --watch: stop after so many rounds.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl readings main --watch
        """,
        "outputs": """
        OVERVIEW: List where readings are handed on and how far each output has come;
        pause, resume or rewind one.

        pause holds an output, also over restarts, until resume: its data are kept.
        rewind hands on again what was read since a time or from a seq on; an output is
        never set ahead.

        With --watch the table is drawn anew every second on a terminal; elsewhere each
        second gives a block, or with --json a line.

        USAGE: meterctl outputs [<output>] [<action>] [--to-seq <seq>] [--to-time <time>] [--json] [--quiet] [--watch] [--count <n>] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <output>                This output only.
          <action>                What to do to it: pause, resume or rewind. (values:
                                  pause, resume, rewind)

        OPTIONS:
          --to-seq <seq>          With rewind: the first seq to hand on again.
          --to-time <time>        With rewind: hand on again what was read at this time
                                  or later.
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          -q, --quiet             Print names only, one a line; nothing when there are
                                  none.
          --watch                 Go on until interrupted, every second.
          --count <n>             With --watch: stop after so many rounds.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl outputs park rewind --to-time 2026-11-24T06:00Z
        """,
        "dead-letters": """
        OVERVIEW: Look after records that a receiver refused: list, show, replay, drop.

        A record that a receiver refuses for good is kept with the receiver's answer,
        and the records behind it go on.

        USAGE: meterctl dead-letters <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          list                    List an output's dead letters, oldest first.
          show                    Show one dead letter with its record and the
                                  receiver's whole answer.
          replay                  Hand dead letters on again, when the receiver was
                                  mended.
          drop                    Remove dead letters for good.

          See 'meterctl help dead-letters <subcommand>' for detailed help.

        Example:
          meterctl dead-letters list park
        """,
        "dead-letters list": """
        OVERVIEW: List an output's dead letters, oldest first.

        USAGE: meterctl dead-letters list <output> [--from <seq>] [--limit <n>] [--json] [--quiet] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <output>                The output, as `meterctl outputs` names it.

        OPTIONS:
          --from <seq>            Begin with this seq. (default: 0)
          --limit <n>             Show at most so many, 1 to 1000. (default: 100)
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          -q, --quiet             Print names only, one a line; nothing when there are
                                  none.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl dead-letters list park
        """,
        "dead-letters show": """
        OVERVIEW: Show one dead letter with its record and the receiver's whole answer.

        USAGE: meterctl dead-letters show <output> <seq> [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <output>                The output, as `meterctl outputs` names it.
          <seq>                   The dead letter by its seq.

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl dead-letters show park 1041
        """,
        "dead-letters replay": """
        OVERVIEW: Hand dead letters on again, when the receiver was mended.

        They go out beside the output's other records, under the seq they have always
        had. One that is accepted is no dead letter any more; one that is refused again
        stays, with the new answer.

        USAGE: meterctl dead-letters replay <output> [<seq> ...] [--all] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <output>                The output, as `meterctl outputs` names it.
          <seq>                   The dead letters by their seq.

        OPTIONS:
          --all                   All of the output's dead letters.
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl dead-letters replay park --all
        """,
        "dead-letters drop": """
        OVERVIEW: Remove dead letters for good.

        The polls stay in the journal as long as its retention keeps them; this output
        does not hand them on any more.

        USAGE: meterctl dead-letters drop <output> [<seq> ...] [--all] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <output>                The output, as `meterctl outputs` names it.
          <seq>                   The dead letters by their seq.

        OPTIONS:
          --all                   All of the output's dead letters.
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl dead-letters drop park 1041 1042
        """,
        "intervals": """
        OVERVIEW: Show what each counter counted in each quarter hour.

        Made from the journal: what was read, not what should have been. Where nothing
        was read the row says so. Times are in UTC. CSV and JSON have the gauges and
        the readings at the boundaries as well.

        USAGE: meterctl intervals [<device>] [--from <time>] [--to <time>] [--last <duration>] [--json] [--csv] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <device>                Show this device only.

        OPTIONS:
          --from <time>           Quarter hours that begin at this time or later: a
                                  date or a time in UTC.
          --to <time>             Quarter hours that begin before this time; now
                                  without it.
          --last <duration>       Quarter hours of so long until now, such as 90m, 24h
                                  or 7d (default: 24h).
          --json                  Print an object for each quarter hour of a device on
                                  a line of its own (see docs/local-api.md).
          --csv                   Print a row for each counter and gauge of each
                                  quarter hour as CSV (see docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl intervals main --last 24h
        """,
        "journal": """
        OVERVIEW: Show what the journal keeps and what was lost, or export it.

        USAGE: meterctl journal <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          show (default)          Show the range of seqs and times, the size, and each
                                  loss.
          export                  Write what the journal keeps as CSV or JSON lines.

          See 'meterctl help journal <subcommand>' for detailed help.

        Example:
          meterctl journal export --format csv --device main -o main.csv
        """,
        "journal show": """
        OVERVIEW: Show the range of seqs and times, the size, and each loss.

        USAGE: meterctl journal show [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl journal show --json
        """,
        "journal export": """
        OVERVIEW: Write what the journal keeps as CSV or JSON lines.

        CSV has a row for each reading, JSON lines have a line for each poll;
        docs/storage.md says what is in them. A file is only put in place when it is
        whole. While the daemon does not run, the database is opened read-only.

        USAGE: meterctl journal export [--format <format>] [--device <name> ...] [--from <time>] [--to <time>] [--output <file>] [--data <folder>] [--socket <path>] [--host <host:port>] [--token-file <file>]

        OPTIONS:
          --format <format>       csv or jsonl. (values: csv, jsonl; default: csv)
          --device <name>         This device only; may be given several times.
          --from <time>           What was read at this time or later: a date or a time
                                  in UTC.
          --to <time>             What was read before this time.
          -o, --output <file>     The file to write; standard output without it.
          --data <folder>         Where the journal lies, for when the daemon does not
                                  run (default: /var/lib/meterd).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl journal export --format jsonl --from 2026-11-24 -o day.jsonl
        """,
        "config": """
        OVERVIEW: Look at the daemon's configuration.

        USAGE: meterctl config <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          check                   Check a configuration file without starting anything.
          show                    Show the whole configuration, with the origin of each
                                  value.
          diff                    Show how the config files differ from what the
                                  running daemon has in force.

          See 'meterctl help config <subcommand>' for detailed help.

        Example:
          meterctl config check
        """,
        "reload": """
        OVERVIEW: Have the daemon read its config again and apply it.

        Buses and outputs that did not change go on untouched; changed ones are stopped
        and started, and no reading is lost. A file that is not valid changes nothing:
        every problem is printed and the exit status is 65.

        USAGE: meterctl reload [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        OPTIONS:
          --json                  Print the daemon's answer as JSON (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl config check && meterctl reload
        """,
        "config check": """
        OVERVIEW: Check a configuration file without starting anything.

        Every problem is printed, each as file:line:column: key: what is wrong; how to
        mend it. Exits 0 when the file is valid, 65 when it is not. The daemon need not
        run.

        Of a valid file the load of each bus is shown: requests and bytes a second, how
        long one round takes, the share of the time. Periods that cannot be met are
        warnings, each with one that can.

        USAGE: meterctl config check [<file>] [--json]

        ARGUMENTS:
          <file>                  The file to check. (default: /etc/meterd/meterd.toml)

        OPTIONS:
          --json                  Print the verdict as JSON:
                                  {"valid":...,"file":...,"problems":[...],"buses":[...],"warnings":[...]}.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl config check /etc/meterd/meterd.toml
        """,
    ]
}
