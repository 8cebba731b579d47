import Glibc

/// Everything that reading a table takes from the machine: files and environment variables.
package struct Surroundings: Sendable {
  /// The content of a file.
  package struct File: Sendable {
    package var bytes: [UInt8]
    /// Whether its mode lets every user of the machine read it.
    package var isReadableByOthers: Bool

    package init(bytes: [UInt8], isReadableByOthers: Bool = false) {
      self.bytes = bytes
      self.isReadableByOthers = isReadableByOthers
    }
  }

  /// Why a file could not be read, in words that follow its name.
  package struct ReadFailure: Error, Hashable, Sendable {
    package var message: String

    package init(message: String) {
      self.message = message
    }
  }

  /// The largest file that is read.
  package static let largestFile = 64 << 20

  package var file: @Sendable (_ path: String) throws(ReadFailure) -> File
  /// `nil` for a variable that is not set.
  package var variable: @Sendable (_ name: String) -> [UInt8]?

  package init(
    file: @escaping @Sendable (_ path: String) throws(ReadFailure) -> File,
    variable: @escaping @Sendable (_ name: String) -> [UInt8]?
  ) {
    self.file = file
    self.variable = variable
  }

  /// The files and the environment of this process.
  package static let process = Surroundings(
    file: { path throws(ReadFailure) in try read(path) },
    variable: { name in
      guard let value = unsafe getenv(name) else { return nil }
      return unsafe Array(UnsafeRawBufferPointer(start: value, count: strlen(value)))
    })

  private static func read(_ path: String) throws(ReadFailure) -> File {
    guard !path.utf8.contains(0) else { throw ReadFailure(message: "cannot be read: a path holds no NUL") }
    // O_NONBLOCK: opening a FIFO must not wait for somebody to write to it.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw failure(errno) }
    defer { close(descriptor) }

    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw failure(errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw ReadFailure(message: "is not a regular file") }
    guard status.st_size <= largestFile else { throw ReadFailure(message: "is larger than 64 MiB") }

    // One octet more than the file says it has, to see that it did not grow past it meanwhile.
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size) + 1)
    var count = 0
    while count < bytes.count {
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress.map { unsafe $0 + count }, buffer.count - count)
      }
      if got < 0 {
        let code = errno
        guard code == EINTR else { throw failure(code) }
        continue
      }
      if got == 0 { break }
      count += got
    }
    guard count <= Int(status.st_size) else { throw ReadFailure(message: "changed while it was read") }
    bytes.removeLast(bytes.count - count)
    return File(bytes: bytes, isReadableByOthers: status.st_mode & S_IROTH != 0)
  }

  private static func failure(_ code: Int32) -> ReadFailure {
    ReadFailure(message: "cannot be read: \(unsafe String(cString: strerror(code)))")
  }
}
