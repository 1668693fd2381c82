import Commands

/// meterctl as a program of its own, for work on the source. What is installed under this name is a link to meterd.
@main
enum Main {
    static func main() async { await MeterctlProgram.main() }
}
