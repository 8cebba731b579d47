import Glibc
import Transport

/// A file of the system, by its path.
struct SystemFile: Sendable {
  /// Of a longer file, the rest is ignored.
  private static let sizeLimit = 16 << 20

  let path: String

  /// What tells one content from the next.
  ///
  /// The time of the last change of any kind (ctime), since a file that replaces another may come with its old mtime.
  struct Version: Equatable {
    fileprivate let device: UInt
    fileprivate let file: UInt
    fileprivate let size: Int
    fileprivate let seconds: Int
    fileprivate let nanoseconds: Int
  }

  /// `nil` when there is no such file.
  ///
  /// - Parameter last: the version while it cannot be known, for want of memory, say.
  func version(after last: Version?) -> Version? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return Self.isMissing(errno) ? nil : last }
    return Version(
      device: status.st_dev, file: status.st_ino, size: status.st_size, seconds: status.st_ctim.tv_sec,
      nanoseconds: status.st_ctim.tv_nsec)
  }

  /// Its octets, none when there is no such file; `nil` when it cannot be read now, for want of descriptors, say.
  func read() -> [UInt8]? {
    let rawValue = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard rawValue >= 0 else { return Self.isMissing(errno) ? [] : nil }
    let file = FileDescriptor(owning: rawValue)
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while text.count < Self.sizeLimit {
      let count = unsafe Glibc.read(file.rawValue, &chunk, chunk.count)
      guard count >= 0 else { return nil }
      guard count > 0 else { break }
      text += chunk[..<count]
    }
    // A byte order mark is no part of the first line.
    return text.starts(with: [0xef, 0xbb, 0xbf]) ? Array(text.dropFirst(3)) : text
  }

  /// Nothing is there, or nothing for us: as long as nobody changes that.
  private static func isMissing(_ error: Int32) -> Bool {
    [ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG].contains(error)
  }
}

/// This machine's own name (gethostname(2)); empty when it has none.
var hostName: String {
  var name = [CChar](repeating: 0, count: 256)
  guard unsafe gethostname(&name, name.count - 1) == 0 else { return "" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
