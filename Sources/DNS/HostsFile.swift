import Addresses

/// What /etc/hosts says (hosts(5)).
struct HostsFile: Hashable, Sendable {
  /// All addresses of each name, of either family.
  private(set) var addresses: [String: [IPAddress]] = [:]
  /// The first name of each address, which is the canonical one.
  private(set) var names: [IPAddress: DomainName] = [:]

  init() {}

  /// Lines of an address and its names, blanks between them; `#` begins a comment. Other lines are ignored.
  init(parsing text: [UInt8]) {
    for line in text.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
      let words = line.prefix { $0 != UInt8(ascii: "#") }
        .split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
      guard let first = words.first, let address = IPAddress(String(decoding: first, as: UTF8.self))?.unmapped
      else { continue }
      for word in words.dropFirst() {
        guard let name = try? DomainName(word) else { continue }
        if addresses[name.text]?.contains(address) != true {
          addresses[name.text, default: []].append(address)
        }
        if names[address] == nil { names[address] = name }
      }
    }
  }
}

extension HostsFile {
  /// `nil` when a name server is to be asked. A name that stands here with addresses of one family has none of the other.
  ///
  /// `localhost` and the names below it are loopback, whatever the file says (RFC 6761 §6.3). Loopback is `localhost`
  /// where the file has no other name for it.
  func answer(to question: Question) -> Question.Answer? {
    switch question {
    case .addresses(let name, let family):
      let isLocal = name.text == "localhost" || name.text.hasSuffix(".localhost")
      guard let all = isLocal ? [.loopback4, .loopback6] : addresses[name.text] else { return nil }
      let addresses = all.filter { $0.family == family }
      return addresses.isEmpty ? .failure(.noData) : .success(.addresses(addresses))
    case .name(let address):
      if let name = names[address] { return .success(.name(name)) }
      return address.isLoopback ? (try? DomainName("localhost")).map { .success(.name($0)) } : nil
    }
  }
}
