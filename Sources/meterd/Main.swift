import Commands

/// One program with two names. Called as meterctl it asks the daemon; by any other name it is the daemon.
@main
enum Main {
    static func main() async {
        if CommandLine.arguments.first?.split(separator: "/").last == "meterctl" {
            await MeterctlProgram.main()
        } else {
            await Meterd.main()
        }
    }
}
