import Config

/// Reads a proxychains.conf as proxychains-ng 4.16 does.
///
/// An error is what stops proxychains as well, and what no table can say. What proxychains passes over without a word is
/// passed over with a warning.
struct ProxychainsReader {
  /// proxychains' MAX_CHAIN, MAX_LOCALNET and MAX_DNAT: it takes no more.
  static let mostProxies = 512
  static let mostLocalnets = 64
  static let mostRedirections = 64
  /// proxychains reads a line into 1,024 octets, and what is left of it as the next line.
  private static let longestLine = 1022

  let file: String
  var log = DiagnosticLog()
  var conf = ProxychainsConf()
  /// Of `[ProxyList]`; everything behind it is a proxy.
  private var list: Position?
  private var modes: [Int] = []
  private var length: Position?

  init(_ bytes: [UInt8], named file: String) {
    self.file = file
    var number = 0
    let mark: [UInt8] = [0xef, 0xbb, 0xbf]
    let hasMark = bytes.starts(with: mark)
    let text = bytes.dropFirst(hasMark ? mark.count : 0)
    for text in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let line = ConfLine(text, number: number)
      if text.count > Self.longestLine {
        error(
          line.position,
          "proxychains cuts a line behind \(Self.longestLine) octets, and takes the rest for another"
            + " (shorten it)")
      } else if text.contains(0) {
        error(line.position, "there is a NUL in this line, where proxychains takes it to end (remove it)")
      } else if let first = line.bytes.first, first != UInt8(ascii: "#") {
        if hasMark, number == 1 {
          passOver(
            line, .head, "the first line, which begins with a byte order mark", "(save the file without it)")
          continue
        }
        if list == nil { readDirective(line) } else { readProxy(line) }
      }
    }
    finish()
  }

  // MARK: Directives

  private static let modes: [(word: String, mode: ProxychainsConf.Mode)] = [
    ("strict_chain", .strict), ("dynamic_chain", .dynamic), ("random_chain", .random),
    ("round_robin_chain", .roundRobin),
  ]
  private static let others = [
    "chain_len", "proxy_dns", "proxy_dns_old", "proxy_dns_daemon", "remote_dns_subnet", "tcp_read_time_out",
    "tcp_connect_time_out", "localnet", "dnat", "quiet_mode", "[ProxyList]",
  ]

  /// proxychains compares whole lines with words that stand alone, and the beginnings of lines with all others.
  private mutating func readDirective(_ line: ConfLine) {
    if line.is("[ProxyList]") {
      list = line.position
    } else if let (_, mode) = Self.modes.first(where: { line.is($0.word) }) {
      conf.mode = mode
      modes.append(line.number)
    } else if line.begins(with: "tcp_read_time_out") {
      if let time = readTime(line) { conf.readTime = time }
    } else if line.begins(with: "tcp_connect_time_out") {
      if let time = readTime(line) { conf.connectTime = time }
    } else if line.begins(with: "remote_dns_subnet") {
      readSubnet(line)
    } else if line.begins(with: "localnet") {
      readLocalnet(line)
    } else if line.begins(with: "chain_len") {
      readLength(line)
    } else if line.is("quiet_mode") {
      conf.isQuiet = true
    } else if line.is("proxy_dns_old") {
      conf.lookup = .script
    } else if line.is("proxy_dns") {
      conf.lookup = .remote
    } else if line.begins(with: "proxy_dns_daemon") {
      readDaemon(line)
    } else if line.begins(with: "dnat") {
      readRedirection(line)
    } else {
      passOver(line)
    }
  }

  private mutating func readTime(_ line: ConfLine) -> Int? {
    guard line.words.count > 1 else {
      error(line.position, "there is no time here (write milliseconds, as in \(line.words[0].text) 15000)")
      return nil
    }
    let word = line.words[1]
    guard let time = word.bytes.decimal(in: 1...Int(Int32.max)) else {
      error(word.position, "\(quoted(word)) is no time to wait (write milliseconds, such as 15000)")
      return nil
    }
    return time
  }

  private mutating func readLength(_ line: ConfLine) {
    guard let sign = line.bytes.firstIndex(of: UInt8(ascii: "=")) else {
      error(line.position, "proxychains wants an equals sign here (write chain_len = 2)")
      return
    }
    let value = line.bytes[(sign + 1)...].drop { ConfLine.isBlank($0) }
    guard let length = value.decimal(in: 0...Int(Int32.max)) else {
      error(line.position, "there is no number behind the equals sign (write chain_len = 2)")
      return
    }
    conf.length = max(1, length)
    self.length = line.position
  }

  private mutating func readSubnet(_ line: ConfLine) {
    guard line.words.count > 1, line.words[1].bytes.decimal(in: 0...255) != nil else {
      error(line.position, "remote_dns_subnet takes a number from 0 to 255 (write 224, or remove it)")
      return
    }
    conf.remark(
      .routes, "remote_dns_subnet, line \(line.number): not needed. No addresses stand for names here.")
  }

  private mutating func readDaemon(_ line: ConfLine) {
    guard line.words.count > 1, isSocketAddress(line.words[1].bytes) else {
      error(line.position, "proxy_dns_daemon takes an IPv4 address and a port (write 127.0.0.1:1053)")
      return
    }
    conf.lookup = .remote
    conf.remark(.routes, "proxy_dns_daemon, line \(line.number): not needed. Names travel to the last proxy.")
  }

  // MARK: What proxychains passes over

  private mutating func passOver(_ line: ConfLine) {
    let word = line.words[0]
    // It may hold a password: it is not repeated.
    if ["socks5", "socks4", "http", "raw"].contains(word.text) || word.text.contains("://") {
      error(
        line.position, "there is a proxy before [ProxyList], where proxychains looks for none (move it down)")
      return
    }
    if log.isFull(of: .warning) { return }
    let known = Self.modes.map(\.word) + Self.others
    let name: String
    if known.contains(word.text) {
      name = "'\(word.text)' with something behind it"
    } else if word.bytes.count <= 40, word.bytes.allSatisfy(Self.isWordOctet) {
      name = "'\(word.text)'"
    } else {
      name = "this line"
    }
    let advice =
      known.contains(word.text)
      ? "write it alone"
      : suggestion(for: word.text, among: known).map { "did you mean '\($0)'?" } ?? "remove it"
    passOver(line, .head, name, "(\(advice))")
  }

  private static func isWordOctet(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
      || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
  }

  /// Warns, and has the table say it.
  mutating func passOver(
    _ line: ConfLine, _ section: ProxychainsConf.Section, _ what: String, _ advice: String
  ) {
    guard !log.isFull(of: .warning) else { return }
    warning(line.position, "proxychains passes over \(what) \(advice)")
    conf.remark(section, "Line \(line.number): passed over, as by proxychains: \(what).")
  }

  // MARK: The whole

  private mutating func finish() {
    guard let list else {
      error(nil, "there is no [ProxyList] (write it alone on a line, and the proxies behind it)")
      return
    }
    guard !log.hasErrors else { return }
    if modes.count > 1, let last = modes.last {
      conf.remark(.chains, "Of several modes the last one holds, line \(last).")
    }
    if conf.proxies.isEmpty {
      error(list, "there is no proxy behind [ProxyList] (write one, such as socks5 127.0.0.1 9050)")
    } else if let length, conf.mode.hasLength {
      guard conf.length > conf.proxies.count else { return }
      error(
        length,
        "chain_len is more than there are proxies, so that proxychains connects to nothing"
          + " (write 1 to \(conf.proxies.count))")
    } else if let length {
      conf.remark(
        .chains, "chain_len, line \(length.line): means nothing but with random_chain and round_robin_chain.")
    }
  }

  /// Says what a table cannot, when the rest of it can be said.
  mutating func refuseTable(_ message: String) {
    error(list, "no table can say this: \(message)")
  }
}

// MARK: - Reporting

extension ProxychainsReader {
  mutating func error(_ position: Position?, _ message: String) {
    log.append(Diagnostic(severity: .error, file: file, position: position, message: message))
  }

  mutating func warning(_ position: Position, _ message: String) {
    if log.isFull(of: .warning) { return }
    log.append(Diagnostic(severity: .warning, file: file, position: position, message: message))
  }

  /// The word between quotes, cut to a bearable length.
  func quoted(_ word: ConfLine.Word) -> String {
    word.bytes.count <= 80 ? "'\(word.text)'" : "'\(word.text.prefix(77))…'"
  }
}
