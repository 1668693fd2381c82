import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOSSL

/// How an HTTP output reaches its receiver, where the standard way, straight and with the system's authorities, will not do.
package struct HTTPLink: Hashable, Sendable {
    /// PEM file of the authorities that are trusted; nil trusts those of the system.
    package var authorities: String?
    /// PEM files of our own certificate, with what is between it and the authority, and of its key.
    package var certificate: String?
    package var key: String?
    package var proxy: Proxy?

    package struct Proxy: Hashable, Sendable {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    package init(authorities: String? = nil, certificate: String? = nil, key: String? = nil, proxy: Proxy? = nil) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.proxy = proxy
    }

    typealias Failure = PEMFile.Failure

    /// A client of this link's own. The files are read now, so a changed one counts for the next client.
    func client(like configuration: HTTPClient.Configuration, on eventLoops: any EventLoopGroup) throws(Failure) -> HTTPClient {
        var configuration = configuration
        configuration.tlsConfiguration = try tls()
        if let proxy { configuration.proxy = .server(host: proxy.host, port: proxy.port) }
        return HTTPClient(eventLoopGroupProvider: .shared(eventLoops), configuration: configuration)
    }

    func tls() throws(Failure) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authorities {
            tls.trustRoots = .certificates(try HTTPLink.certificates(authorities))
        }
        if let certificate, let key {
            tls.certificateChain = try HTTPLink.certificates(certificate).map { .certificate($0) }
            try PEMFile.checkKey(key)
            do {
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            } catch {
                throw Failure(description: "\(key) holds no private key in PEM form without a passphrase")
            }
        }
        return tls
    }

    private static func certificates(_ path: String) throws(Failure) -> [NIOSSLCertificate] {
        try PEMFile.checkCertificates(path)
        guard let found = try? NIOSSLCertificate.fromPEMFile(path), !found.isEmpty else {
            throw Failure(description: "\(path) holds no certificate in PEM form")
        }
        return found
    }
}
