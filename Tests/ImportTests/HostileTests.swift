import Chance
import Import
import Testing

/// A file of any content gives a table or errors.
@Suite struct HostileTests {
  private func examine(_ bytes: [UInt8]) throws {
    let table = imported(bytes)
    let hasErrors = table.messages.contains { $0.contains(": error: ") || $0.hasPrefix("error: ") }
    #expect((table.text == nil) == hasErrors)
    guard let text = table.text else { return }
    #expect(text.utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a })
    let configuration = try table.loaded()
    #expect(configuration.listeners.map(\.id.address).allSatisfy { $0.hasPrefix("127.0.0.1:") })
    #expect(configuration.listeners.count == 1)
    #expect(configuration.table.fallback.passesHops)
  }

  @Test func `the whole of it is imported without a word`() throws {
    #expect(imported(fullConf).messages == [])
    try examine(Array(fullConf.utf8))
  }

  @Test func `cut at any octet`() throws {
    let bytes = Array(fullConf.utf8)
    for count in bytes.indices { try examine(Array(bytes[..<count])) }
  }

  @Test(arguments: [freshSeed])
  func `with any octet another`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let octets: [UInt8] = [0, 0x0a, 0x20, 0x22, 0x23, 0x2f, 0x3a, 0x40, 0x80, 0xff]
    let bytes = Array(fullConf.utf8)
    for index in bytes.indices {
      var bytes = bytes
      bytes[index] =
        Bool.random(using: &generator)
        ? octets[index % octets.count] : UInt8.random(in: 0...255, using: &generator)
      try examine(bytes)
    }
  }

  @Test func `with any line left out, or twice`() throws {
    let lines = fullConf.split(separator: "\n", omittingEmptySubsequences: false)
    for index in lines.indices {
      var fewer = lines
      fewer.remove(at: index)
      try examine(Array(fewer.joined(separator: "\n").utf8))
      var more = lines
      more.insert(lines[index], at: index)
      try examine(Array(more.joined(separator: "\n").utf8))
    }
  }

  @Test func `a hundred thousand lines that mean nothing are a thousand messages, and a table`() throws {
    let noise = String(repeating: "nonsense\n", count: 100_000)
    let table = imported(noise + "[ProxyList]\nsocks5 192.0.2.1 1080\n")
    #expect(table.diagnostics.count == 1000)
    #expect(table.lines.count < 1100)
    _ = try table.loaded()
  }

  @Test func `nothing that a file is called, or holds, begins a line of the table`() throws {
    let table = ImportedTable(
      proxychains: Array("nonsense\u{85}listen: 0.0.0.0:1\n[ProxyList]\nsocks5 192.0.2.1 1\n".utf8),
      named: "a\nlisten: 0.0.0.0:1080\u{2028}b")
    #expect(
      table.lines.first == "# From a\\u{a}listen: 0.0.0.0:1080\\u{2028}b, as proxychains-ng 4.16 reads it.")
    #expect(table.lines.filter { $0.hasPrefix("listen:") } == ["listen: 127.0.0.1:1080"])
  }
}
