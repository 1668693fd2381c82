import Gateway

/// Where `config check` meets the daemon's own loader, so that both say the same of a file.
func checkConfiguration(file: String) throws -> ConfigurationVerdict {
    throw Failure.failed("this build cannot check \(file): it has no configuration loader")
}
