/// What the local API shows of the running gateway.
///
/// Asked once per request; an answer is a snapshot. It should come at once: a caller waits, and stopping waits for the caller.
package protocol GatewayView: Sendable {
    func status() async -> StatusReport
    /// All devices, in config order.
    func devices() async -> [DeviceReport]
    /// All outputs, in config order.
    func outputs() async -> [OutputReport]
    /// The newest readings of the device of this name, or of all devices.
    func readings(device: String?) async throws(GatewayViewError) -> ReadingsReport
}

/// Why a view has no answer.
package enum GatewayViewError: Error, Hashable, Sendable {
    /// No device has this name; `known` are the names that exist.
    case unknownDevice(String, known: [String])
    /// It cannot be told now; the text says why and what to do.
    case unavailable(String)
}
