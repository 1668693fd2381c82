/// Which release these programs are of.
package enum Release {
    package static let version = "0.1.0"
}
