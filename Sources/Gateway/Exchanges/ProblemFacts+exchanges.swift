import Metering

extension ProblemFacts {
    /// An exchange is to be looked at for so long; then it is told, and no more.
    static let exchangeNews = Duration.seconds(86_400)

    var exchangeProblems: [Problem] {
        exchanges.map { exchange in
            let isNews = now.milliseconds - exchange.time.milliseconds < ProblemFacts.exchangeNews.milliseconds
            let times = exchange.count > 1 ? "; it is exchange number \(exchange.count) since the daemon started" : ""
            let text =
                "another meter answers: its serial number is \(exchange.newSerial) since \(exchange.time.rfc3339), it was \(exchange.oldSerial), "
                + "last read \(exchange.lastSeen.rfc3339)\(times); the counters are split there (meterctl intervals \(exchange.device) shows their "
                + "last and first values). If nobody exchanged the meter, check the unit ids and addresses"
            return Problem(
                report: ProblemReport(code: "device_exchanged", subject: exchange.device, since: exchange.time, text: text),
                severity: isNews ? .heals : .past)
        }
    }
}
