import Addresses
import Routing

/// The conditions of a route.
extension TableReader {
  static let conditionKeys = [
    "domain", "host", "ip", "port", "network", "command", "client", "user", "listener", "any", "all", "not",
  ]
  static let laterConditionKeys = ["list", "country", "asn", "protocol", "sniff", "process", "time"]

  private static let keys = Keys(conditionKeys, later: laterConditionKeys + ["resolve"])
  private static let form = Form("a condition", "{domain: corp.example}")

  /// All the conditions of a map, together; `nil` after an error. A map without any always holds.
  func readCondition(_ fields: Fields, listeners: Set<String>) -> Condition? {
    var conditions: [Condition] = []
    var isBroken = false
    for key in Self.conditionKeys {
      guard let node = fields[key] else { continue }
      if let condition = readCondition(key, node, listeners: listeners) {
        conditions.append(condition)
      } else {
        isBroken = true
      }
    }
    if isBroken { return nil }
    return conditions.count == 1 ? conditions[0] : .all(conditions)
  }

  private func readCondition(_ key: String, _ node: Node, listeners: Set<String>) -> Condition? {
    switch key {
    case "domain": return each(node, Self.domainForm, readDomain).map(Condition.domain)
    case "host": return each(node, Self.hostForm, readHostPattern).map(Condition.host)
    case "ip": return readPrefixes(node, namesUnder: "domain").map(Condition.ip)
    case "client": return readPrefixes(node).map(Condition.client)
    case "port": return each(node, Self.portForm, readPorts).map(Condition.port)
    case "network":
      return each(node, Form("a network", "tcp")) { word($0, Request.Network.self) }.map(Condition.network)
    case "command":
      return each(node, Form("a command", "connect")) { word($0, Request.Command.self) }.map(
        Condition.command)
    case "user": return each(node, Form("a user name", "alice"), readUserName).map(Condition.user)
    case "listener":
      let form = Form("a listener's name or address", "127.0.0.1:1080")
      return each(node, form) { readListenerName($0, form, listeners) }.map(Condition.listener)
    case "any": return readConditions(node, listeners).map(Condition.any)
    case "all": return readConditions(node, listeners).map(Condition.all)
    default:
      guard node.kind != .sequence else {
        error(node, "'not' takes one map (write {any: […]} in it for several)")
        return nil
      }
      return readNested(node, listeners).map(Condition.not)
    }
  }

  private func readConditions(_ node: Node, _ listeners: Set<String>) -> [Condition]? {
    each(node, Self.form) { readNested($0, listeners) }
  }

  private func readNested(_ node: Node, _ listeners: Set<String>) -> Condition? {
    guard !node.isBroken, let fields = fields(node, "a condition", Self.form.example, Self.keys) else {
      return nil
    }
    if node.entries.isEmpty {
      mismatch(node, Self.form)
      return nil
    }
    return readCondition(fields, listeners: listeners)
  }

  private func readListenerName(_ node: Node, _ form: Form, _ listeners: Set<String>) -> String? {
    guard let text = text(node, form) else { return nil }
    if listeners.contains(text) { return text }
    reportUnknownListener(node, text, among: listeners.sorted())
    return nil
  }

  /// Reports that `text` names no listener.
  func reportUnknownListener(_ node: Node, _ text: String, among names: [String]) {
    if replacedListeners.contains(where: { $0.name == text || $0.address == text }) {
      error(
        node,
        "the listener \(quoted(node)) is replaced by '--listen', so that this never holds"
          + " (leave out '--listen', or this 'listener')")
    } else if let near = suggest(for: text, among: names) {
      error(node, "there is no listener \(quoted(node)) (did you mean '\(near)'?)")
    } else {
      error(
        node, "there is no listener \(quoted(node)) (write the name or the address of one under 'listen')")
    }
  }
}

// MARK: - Values

extension TableReader {
  private static let domainForm = Form("a domain name", "corp.example")
  private static let hostForm = Form(
    "a host name, a pattern with '*' or a /regular expression/", "www.corp.example")
  private static let prefixForm = Form("an address or a prefix", "10.0.0.0/8")
  private static let portForm = Form("a port from 1 to 65535 or a range of them", "443 or 6000-6063")

  private func readDomain(_ node: Node) -> DomainName? {
    guard let bytes = scalar(node, Self.domainForm)?.bytes else { return nil }
    let name = bytes.first == UInt8(ascii: ".") ? bytes.dropFirst() : bytes
    do throws(DomainName.Violation) {
      return try DomainName(name)
    } catch {
      reportName(node, String(decoding: name, as: UTF8.self), error)
      return nil
    }
  }

  private func reportName(_ node: Node, _ text: String, _ violation: DomainName.Violation) {
    if violation == .tooLong {
      error(node, "a name has at most 253 octets, and 63 between two dots (shorten it)")
    } else if Prefix(text) != nil {
      error(node, "\(quoted(node)) is an address, not a name (write it under 'ip')")
    } else if text.hasPrefix("*."), !text.dropFirst(2).contains("*") {
      error(
        node, "'domain' covers everything below a name by itself (write \(quoted(String(text.dropFirst(2)))))"
      )
    } else if text.contains("*") {
      error(node, "\(quoted(node)) is a pattern, not a name (write it under 'host')")
    } else if text.contains("://") || text.contains("/") {
      error(node, "\(quoted(node)) is not a domain name (write the host name alone)")
    } else if text.utf8.contains(where: { $0 >= 0x80 }) {
      error(node, "\(quoted(node)) has letters that names do not travel in (write its xn-- form)")
    } else {
      mismatch(node, Self.domainForm)
    }
  }

  private func readHostPattern(_ node: Node) -> HostPattern? {
    guard let text = text(node, Self.hostForm) else { return nil }
    do throws(HostPattern.Violation) {
      let pattern = try HostPattern(text)
      warnOfAddresses(text, pattern, node)
      return pattern
    } catch {
      self.error(
        node, "\(quoted(node)) is no host pattern: \(error) (write it like \(Self.hostForm.example))")
      return nil
    }
  }

  /// Warns of a pattern that begins as an IPv4 address does: addresses are no names, and it matches none of them.
  private func warnOfAddresses(_ text: String, _ pattern: HostPattern, _ node: Node) {
    var rest: Substring
    switch pattern {
    case .exact: return
    case .glob: rest = text[...]
    case .expression:
      rest = Substring(
        text.dropFirst().drop { $0 == "^" }.split(separator: "\\", omittingEmptySubsequences: false).joined())
    }
    // Whole numbers, each with a dot behind it.
    var numbers: [UInt8] = []
    while let dot = rest.firstIndex(of: "."), numbers.count < 3,
      let number = decimal(rest[..<dot]).flatMap(UInt8.init(exactly:))
    {
      numbers.append(number)
      rest = rest[rest.index(after: dot)...]
    }
    guard !numbers.isEmpty else { return }
    let isOfDigits = text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x2a }
    var bits: UInt32 = 0
    for index in 0..<4 { bits = bits << 8 | UInt32(index < numbers.count ? numbers[index] : 0) }
    let prefix = Prefix(.v4(bits), length: numbers.count * 8)
    guard isOfDigits || Self.isPrivate(prefix) else { return }
    warning(
      node.position,
      "\(quoted(node)) looks like addresses, and 'host' patterns match names only (write 'ip: \(prefix)' for these)"
    )
  }

  /// Whether a prefix, of 8, 16 or 24 bits, is within a range of no public network (RFC 1918, 3927, 6598), or of this
  /// machine.
  private static func isPrivate(_ prefix: Prefix) -> Bool {
    ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
      .compactMap(Prefix.init(_:)).contains { $0.contains(prefix.address) && $0.length <= prefix.length }
  }

  /// - Parameter namesUnder: the key that takes names, for whoever writes one here.
  func readPrefixes(_ node: Node, namesUnder key: String? = nil) -> [Prefix]? {
    each(node, Self.prefixForm) { node in
      guard let text = text(node, Self.prefixForm) else { return nil }
      if let prefix = Prefix(text) { return prefix }
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      if parts.count == 2, let address = IPAddress(parts[0]), let length = decimal(parts[1]) {
        if length > address.bitWidth {
          error(node, "\(quoted(node)) has more than \(address.bitWidth) bits (write a length up to that)")
        } else {
          let prefix = Prefix(address, length: length)
          error(
            node, "\(quoted(node)) has bits behind its length (did you mean '\(prefix)' or '\(address)'?)")
        }
      } else if let key, (try? DomainName(text)) != nil {
        error(node, "\(quoted(node)) is a name, not an address (write it under '\(key)')")
      } else {
        mismatch(node, Self.prefixForm)
      }
      return nil
    }
  }

  func readPorts(_ node: Node) -> ClosedRange<UInt16>? {
    guard let text = scalar(node, Self.portForm)?.text else { return nil }
    let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
    let numbers = bounds.compactMap { decimal($0).flatMap { UInt16(exactly: $0) } }
    guard (1...2).contains(bounds.count), numbers.count == bounds.count, let first = numbers.first,
      let last = numbers.last, first > 0
    else {
      mismatch(node, Self.portForm)
      return nil
    }
    guard first <= last else {
      error(node, "\(quoted(node)) runs backwards (write \(last)-\(first))")
      return nil
    }
    return first...last
  }
}
