import Glibc

/// SIGKILL for this process in so many microseconds, wherever it is then: for processes that a test lets live and die.
package func killThisProcess(after microseconds: UInt32) {
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { time in
            usleep(UInt32(UInt(bitPattern: time)))
            kill(getpid(), SIGKILL)
            return nil
        }, UnsafeMutableRawPointer(bitPattern: UInt(microseconds)))
}
