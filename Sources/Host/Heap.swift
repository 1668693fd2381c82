import CHost

/// The C library's heap.
package enum Heap {
    /// One heap for all threads from now on. Each thread would else keep one of its own, as large as its largest moment; the program does
    /// little at the same time, and waits for the lock less than it would cost in memory.
    package static func shareAmongThreads() { _ = chost_one_arena() }
}
