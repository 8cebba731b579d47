import Addresses
import Glibc
import Transport

/// What /etc/hosts says (hosts(5)), read again when the file has changed.
struct HostsFile {
  private let path: String
  private var entries = Entries()
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

  struct Entries: Equatable {
    var addresses: [String: [IPAddress]] = [:]
    /// The first of each address.
    var names: [IPAddress: DomainName] = [:]
  }

  /// All addresses of `name`, of either family; `nil` when the file does not mention it.
  mutating func addresses(of name: DomainName, at now: Deadline) -> [IPAddress]? {
    refresh(at: now)
    return entries.addresses[name.text]
  }

  /// The first name of `address`, which is the canonical one; `nil` when the file does not mention it.
  mutating func name(of address: IPAddress, at now: Deadline) -> DomainName? {
    refresh(at: now)
    return entries.names[address]
  }

  private mutating func refresh(at now: Deadline) {
    guard now >= nextCheck else { return }
    nextCheck = now + Self.checkInterval
    let current = Version(ofFileAt: path)
    guard current != version else { return }
    version = current
    entries = Self.parse(Self.read(path))
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
  static func parse(_ text: [UInt8]) -> Entries {
    var entries = Entries()
    for line in text.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
      let words = line.prefix { $0 != UInt8(ascii: "#") }
        .split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
      guard let first = words.first, let address = IPAddress(String(decoding: first, as: UTF8.self))?.unmapped
      else { continue }
      for word in words.dropFirst() {
        guard let name = try? DomainName(word) else { continue }
        if entries.addresses[name.text]?.contains(address) != true {
          entries.addresses[name.text, default: []].append(address)
        }
        if entries.names[address] == nil { entries.names[address] = name }
      }
    }
    return entries
  }
}
