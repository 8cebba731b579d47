import Addresses
import Glibc
import Transport

/// The names of /etc/hosts (hosts(5)), read again when the file has changed.
struct HostsFile {
  private let path: String
  private var names: [String: [IPAddress]] = [:]
  private var version: Version?
  private var nextCheck = Deadline(nanoseconds: 0)

  /// How long a change may go unseen.
  private static let checkInterval = Duration.seconds(1)
  /// Of a longer file, the rest is ignored: to read it would hold up the loop.
  private static let sizeLimit = 16 << 20

  init(path: String = "/etc/hosts") {
    self.path = path
  }

  /// What tells one content from the next.
  private struct Version: Equatable {
    var file: UInt
    var size: Int
    var seconds: Int
    var nanoseconds: Int

    init?(ofFileAt path: String) {
      var status = stat()
      guard unsafe stat(path, &status) == 0 else { return nil }
      file = status.st_ino
      size = status.st_size
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
    }
  }

  /// All addresses of `name`, of either family; `nil` when the file does not mention it.
  mutating func addresses(of name: DomainName, at now: Deadline) -> [IPAddress]? {
    if now >= nextCheck {
      nextCheck = now + Self.checkInterval
      let current = Version(ofFileAt: path)
      if current != version {
        version = current
        names = Self.parse(Self.read(path))
      }
    }
    return names[name.text]
  }

  private static func read(_ path: String) -> [UInt8] {
    let rawValue = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard rawValue >= 0 else { return [] }
    let file = FileDescriptor(owning: rawValue)
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while text.count < sizeLimit {
      let count = unsafe Glibc.read(file.rawValue, &chunk, chunk.count)
      guard count > 0 else { break }
      text += chunk[..<count]
    }
    return text
  }

  /// Lines of an address and its names, blanks between them; `#` begins a comment. Other lines are ignored.
  static func parse(_ text: [UInt8]) -> [String: [IPAddress]] {
    var names: [String: [IPAddress]] = [:]
    for line in text.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
      let words = line.prefix { $0 != UInt8(ascii: "#") }
        .split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
      guard let first = words.first, let address = IPAddress(String(decoding: first, as: UTF8.self))?.unmapped
      else { continue }
      for word in words.dropFirst() {
        guard let name = try? DomainName(word) else { continue }
        if names[name.text]?.contains(address) != true { names[name.text, default: []].append(address) }
      }
    }
    return names
  }
}
