import Uplink

/// What the brokers of the two clouds want, each of which ends the connection without a word otherwise.
extension OutputReader {
    /// The name follows from hub and device; the password is made of the device's key, or there is none beside a certificate.
    func azureLogin(_ hub: String?, _ device: String?) -> MQTTSettings.Login? {
        for key in ["username", "password_file"] where table.text(key) != nil {
            table.problem(key, "is made by meterd for azure; remove it, and name the device's key with access_key_file")
        }
        guard device != nil else {
            table.problem("client_id", "is wanted for azure: the device's id in the hub")
            return nil
        }
        let key = secret("access_key_file")
        guard let hub, let device else { return nil }
        return MQTTSettings.Login(user: .name(MQTTSettings.azureUser(hub: hub, device: device)), azureKey: key)
    }

    func checkCloud(_ preset: Preset?, secure: Bool?, tls: MQTTSettings.TLS?, login: MQTTSettings.Login?) {
        if secure == false { table.problem("url", "is plain text, which the cloud does not take; write mqtts://") }
        let hasCertificate = table.text("cert_file") != nil
        switch preset {
        case .aws where !hasCertificate: table.problem("cert_file", "is wanted for aws, with key_file: the certificate of the thing")
        case .azure:
            let hasKey = table.text("access_key_file") != nil
            if hasKey == hasCertificate {
                table.problem("access_key_file", "or cert_file with key_file is wanted for azure, one of the two")
            }
            if table.text("version") == "5" { table.problem("version", "is 3.1.1 for azure; remove it") }
        case .aws, .thingsboard, .homeassistant, nil: break
        }
    }
}
