import Glibc

/// A folder for one test, removed with it.
package final class ScratchFolder: Sendable {
    package let path: String

    package init(_ name: String = "test") throws { path = try TemporaryFolder.make(name) }

    deinit { TemporaryFolder.remove(path) }

    /// The path of a file in it.
    package func file(_ name: String) -> String { path + "/" + name }

    /// The same, with this content.
    package func file(_ name: String, content: String) throws -> String {
        try TextFile.write(content, to: file(name))
        return file(name)
    }

    package func content(of name: String) -> String { TextFile.content(path + "/" + name) }
}

/// A symbolic link, in place of one that may be there.
package func makeLink(_ path: String, to target: String) -> Bool {
    unlink(path)
    return symlink(target, path) == 0
}
