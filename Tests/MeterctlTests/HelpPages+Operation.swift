extension HelpTests {
    /// Of the commands that look after the daemon.
    static let operationPages = [
        "read": """
        OVERVIEW: Read registers through the running daemon, and show what they may
        mean.

        The daemon asks between its polls and goes on polling. Addresses are those on
        the wire, counted from 0: register 40001 of a manual is address 0 of kind
        holding. With --type all the registers one before and one after are read too,
        since manuals count from 0 or from 1, and every plausible decoding is shown:
        compare with the meter's display. Exits 1 when the device refuses or does not
        answer.

        USAGE: meterctl read <device|bus:unit> <address> [--count <n>] [--kind <kind>] [--type <type>] [--order <order>] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <device|bus:unit>       A configured device, or a bus and a unit id.
          <address>               The first register: 0 to 65535, or 0x… in hexadecimal.

        OPTIONS:
          --count <n>             How many registers (default: what the type needs; 4
                                  with --type all).
          --kind <kind>           holding, input, coil or discrete_input. (values:
                                  holding, input, coil, discrete_input; default:
                                  holding)
          --type <type>           all, or one type: uint16, int16, uint32, int32,
                                  uint64, int64, float32, float64, acc32, acc64,
                                  schneider_4q, bcd16, bcd32, bcd64, string.
          --order <order>         Word order of one type: ABCD, CDAB, BADC or DCBA.
          --json                  Print the daemon's answers and the decodings as JSON
                                  (see docs/commissioning.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl read line-1:1 0 --kind input --type all
        """,
        "scan": """
        OVERVIEW: Look for devices on a bus, unit by unit, while the daemon goes on
        polling.

        Each unit is asked for one register; one that answers is identified. A unit
        that is not there costs one response timeout. Interrupting is safe at any time:
        only reads are sent, one at a time, and what was found is printed as it is
        found. Exits 0 when the scan came to its end, whatever it found.

        USAGE: meterctl scan <bus> [--units <first-last>] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <bus>                   The bus, as the configuration names it.

        OPTIONS:
          --units <first-last>    Unit ids, first and last, within 0 to 255.
          --json                  Print what was found as JSON, once at the end.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl scan line-1 --units 1-32
        """,
        "identify": """
        OVERVIEW: Find out what a unit is: which profiles fit, and what SunSpec says.

        The daemon asks for the registers by which its profiles know their devices,
        between its polls. Profiles that name no such registers cannot be told this
        way. Exits 1 when the unit does not answer.

        USAGE: meterctl identify <device|bus:unit> [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <device|bus:unit>       A configured device, or a bus and a unit id.

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
          meterctl identify line-1:3
        """,
        "config show": """
        OVERVIEW: Show the whole configuration, with the origin of each value.

        Each key is shown with the value that holds and a comment that says where it
        comes from: a line of a file, a table that it is taken over from, or the
        default. Secrets are hidden: files of tokens are named, passwords and tokens
        within a URL and the values of header fields are ***. Exits 65 with every
        problem when the files are not valid. The daemon need not run; with --running
        it is asked for what it has in force.

        USAGE: meterctl config show [<file>] [--running] [--all] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <file>                  The file to show. (default: /etc/meterd/meterd.toml)

        OPTIONS:
          --running               Show what the running daemon has in force, not the
                                  file.
          --all                   Show the keys that are not set, too.
          --json                  Print JSON: {"files":[...],"entries":[...]} (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl config show
        """,
        "config diff": """
        OVERVIEW: Show how the config files differ from what the running daemon has in
        force.

        The daemon reads its files anew and compares: nothing is applied. A line for
        each key that is added, changed or removed, and one for a bus, device or output
        that comes or goes. Exits 0 when nothing differs, 1 when something does, 65
        when the files are not valid.

        USAGE: meterctl config diff [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

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
          meterctl config diff || meterctl reload
        """,
        "doctor": """
        OVERVIEW: Look at all that meterd stands on, and say what is wrong and how to
        mend it.

        Looks at the config, the service and its overrides, the daemon and its socket,
        the clock, profiles, the data directory and its disk, serial ports and their
        rights, and the receivers: name, connection, TLS, and an answer to a question
        that leaves no trace. It changes nothing, opens no serial port, asks no meter
        and hands nothing on. Exits 0 when nothing failed, 1 when something did. The
        daemon need not run; with sudo more can be seen. It is asked on the socket that
        the config names, unless you name another.

        USAGE: meterctl doctor [<file>] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <file>                  The daemon's config file. (default:
                                  /etc/meterd/meterd.toml)

        OPTIONS:
          --json                  Print JSON: {"verdict":...,"checks":[...]} (see
                                  docs/local-api.md).
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl doctor
        """,
        "support-bundle": """
        OVERVIEW: Put what a helper needs into one file: state, config, log, doctor; no
        readings, no secrets.

        Holds the status, what the journal keeps, the configuration with its origins
        and how it differs from what is in force, versions, the list of profiles, the
        newest lines of the log and the doctor's report. Secrets are hidden, and what
        the files of tokens and passwords hold is looked for in all of it and taken
        out: run it with sudo, so that it can read them. The daemon need not run; it is
        asked on the socket that the config names, unless you name another. Look
        through the file before you send it.

        USAGE: meterctl support-bundle [<file>] [--config <file>] [--log <file>] [--with-readings] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <file>                  The file to write, which must not exist (default:
                                  meterd-support-ID-TIME.tar.gz here).

        OPTIONS:
          --config <file>         The daemon's config file. (default:
                                  /etc/meterd/meterd.toml)
          --log <file>            Take the log from this file instead of asking
                                  journalctl.
          --with-readings         Put the newest readings in, too.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl support-bundle meterd.tar.gz
        """,
        "log-level": """
        OVERVIEW: Show the least level that the daemon logs, or set it until the next
        start.

        The levels are trace, debug, info, notice, warning, error and critical. What
        the daemon starts with is its option --log-level.

        USAGE: meterctl log-level [<level>] [--json] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <level>                 The level from now on; without it the level is shown.

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
          meterctl log-level debug
        """,
        "profiles": """
        OVERVIEW: List the register maps, show one, or try one out.

        USAGE: meterctl profiles <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          list                    List every profile, where it is from, and which file
                                  takes the place of which.
          show                    Show the points of a profile as a table.
          test                    Decode the worked examples of a profile, or read
                                  every point of it from a device.

          See 'meterctl help profiles <subcommand>' for detailed help.

        Example:
          meterctl profiles list
        """,
        "profiles list": """
        OVERVIEW: List every profile, where it is from, and which file takes the place
        of which.

        Exits 65 when a file is not valid, and says what is wrong with it. The daemon
        need not run.

        USAGE: meterctl profiles list [--config <file>] [--path <directory> ...] [--json] [--quiet]

        OPTIONS:
          --config <file>         The configuration whose profile_path is used.
                                  (default: /etc/meterd/meterd.toml)
          --path <directory>      Look in this directory instead; may be given several
                                  times, the first one wins.
          --json                  Print the list as JSON (see docs/device-profiles.md).
          -q, --quiet             Print names only, one a line.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl profiles list
        """,
        "profiles show": """
        OVERVIEW: Show the points of a profile as a table.

        Addresses are those on the wire, counted from 0. FACTOR leads from the raw
        number to UNIT. The daemon need not run.

        USAGE: meterctl profiles show <name> [--toml] [--json] [--config <file>] [--path <directory> ...]

        ARGUMENTS:
          <name>                  The profile.

        OPTIONS:
          --toml                  Print the profile's file as it is, to make one of
                                  your own from it.
          --json                  Print it as JSON (see docs/device-profiles.md).
          --config <file>         The configuration whose profile_path is used.
                                  (default: /etc/meterd/meterd.toml)
          --path <directory>      Look in this directory instead; may be given several
                                  times, the first one wins.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl profiles show eastron-sdm630
        """,
        "profiles test": """
        OVERVIEW: Decode the worked examples of a profile, or read every point of it
        from a device.

        With a name alone the examples in the file are decoded; the daemon need not
        run. With --device the running daemon reads every point between its polls and
        shows the raw words, the value and whether that can be: compare with the
        display. The device is one of the configuration, read by its own profile or by
        the one named, or BUS:UNIT and a name. Exits 1 when an example or a point is
        wrong, 65 when the file is not valid.

        USAGE: meterctl profiles test [<name>] [--device <device|bus:unit>] [--json] [--config <file>] [--path <directory> ...] [--socket <path>] [--host <host:port>] [--token-file <file>]

        ARGUMENTS:
          <name>                  The profile; without it the one that the device has.

        OPTIONS:
          --device <device|bus:unit>
                                  A configured device, or a bus and a unit id.
          --json                  Print the outcome as JSON (see
                                  docs/device-profiles.md).
          --config <file>         The configuration whose profile_path is used.
                                  (default: /etc/meterd/meterd.toml)
          --path <directory>      Look in this directory instead; may be given several
                                  times, the first one wins.
          --socket <path>         The daemon's socket (default: METERD_SOCKET if set,
                                  else /run/meterd/meterd.sock).
          --host <host:port>      Ask over TCP, where [api] listen allows it:
                                  127.0.0.1:8471.
          --token-file <file>     With --host: a file that holds the token.
          --version               Show the version.
          -h, --help              Show help information.

        Example:
          meterctl profiles test eastron-sdm630 --device line-1:3
        """,
    ]
}
