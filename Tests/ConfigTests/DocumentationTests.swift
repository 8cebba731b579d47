import Config
import Foundation
import TLSPeer
import Testing

/// Every table that is shown to somebody works, and says what the page says it does.
@Suite struct DocumentationTests {
  /// What surrounds the examples of the pages: their variables and their files.
  private static let certificate = Certificate(for: "DNS:proxy.example")
  private static let loading = loader(
    files: [
      "proxies.pem": Surroundings.File(bytes: certificate.pem),
      "own.pem": Surroundings.File(bytes: certificate.pem),
      "own.key": Surroundings.File(bytes: certificate.keyPEM),
      "users.txt": Surroundings.File(bytes: Array("carol:\(hash6)\n".utf8)),
      "far.password": Surroundings.File(bytes: Array("secret\n".utf8)),
    ],
    variables: [
      "OFFICE_PASSWORD": "secret", "BOB_PASSWORD": "secret", "GATE_PASSWORD": "secret",
      "GATE_TOKEN": "secret",
    ])

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// A fenced block of a page.
  private struct Block {
    var page: String
    var line: Int
    var language: String
    /// The remark before it, as in `<!-- part -->`.
    var mark: String
    var text: String
  }

  private func blocks(of page: String) throws -> [Block] {
    let text = try String(contentsOf: Self.root.appendingPathComponent(page), encoding: .utf8)
    var blocks: [Block] = []
    var open: Block?
    var mark = ""
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("```") {
        if let block = open {
          blocks.append(block)
          open = nil
        } else {
          open = Block(page: page, line: index + 1, language: String(line.dropFirst(3)), mark: mark, text: "")
        }
        mark = ""
      } else if open != nil {
        open?.text += line + "\n"
      } else if line.hasPrefix("<!-- ") {
        mark = String(line.dropFirst(5).dropLast(4))
      } else if !line.isEmpty {
        mark = ""
      }
    }
    #expect(open == nil, "a block of \(page) is not closed")
    return blocks
  }

  /// What a part of a table leaves out, on lines behind it so that its own keep their numbers.
  private func completed(_ part: String) -> String {
    func lacks(_ key: String) -> Bool { !("\n" + part).contains("\n\(key):") }
    var text = part
    if lacks("upstreams") {
      text += "upstreams: {office: socks5://office.example:1080, tor: socks5://127.0.0.1:9050,"
      text += " de: socks5://de.example:1080, nl: socks5://nl.example:1080}\n"
    }
    if lacks("listen"), part.contains("user:") { text += "listen: {auth: optional}\n" }
    if lacks("default") { text += "default: direct\n" }
    return text
  }

  private func messages(_ text: String) -> [String] {
    Self.loading.load(Surroundings.File(bytes: Array(text.utf8)), named: "split.yaml").diagnostics
      .map(\.description)
  }

  @Test(arguments: ["README.md", "docs/route-tables.md", "docs/command-line.md"])
  func `every table of a page does what the page says`(page: String) throws {
    let blocks = try blocks(of: page)
    for (index, block) in blocks.enumerated() where block.language == "yaml" {
      let place = "\(page):\(block.line)"
      switch block.mark {
      case "": #expect(messages(block.text) == [], "\(place)")
      case "part": #expect(messages(completed(block.text)) == [], "\(place)")
      case "wrong", "warned":
        let shown = blocks.dropFirst(index + 1).first?.text.split(separator: "\n").map(String.init)
        #expect(messages(completed(block.text)) == shown, "\(place)")
      default: Issue.record("\(place) has the unknown mark '\(block.mark)'")
      }
    }
  }

  @Test func `route-tables shows every key`() throws {
    let page = try String(
      contentsOf: Self.root.appendingPathComponent("docs/route-tables.md"), encoding: .utf8)
    // The message on an unknown key lists all that may stand there.
    let maps = [
      "x: 1\ndefault: direct", "listen: {x: 1}\ndefault: direct", "listen: {udp: {x: 1}}\ndefault: direct",
      "listen: {bind: {x: 1}}\ndefault: direct", "upstreams: {a: {x: 1}}\ndefault: direct",
      "groups: {a: {x: 1}}\ndefault: direct",
      "groups: {a: {check: {x: 1}}}\ndefault: direct", "chains: {a: {x: 1}}\ndefault: direct",
      "chains: {a: [{x: 1}]}\ndefault: direct", "routes: {x: 1}\ndefault: direct",
      "tests: {x: 1}\ndefault: direct",
      "dns: {x: 1}\ndefault: direct", "timeouts: {x: 1}\ndefault: direct", "limits: {x: 1}\ndefault: direct",
      "log: {x: 1}\ndefault: direct",
    ]
    for map in maps {
      let message = try #require(messages(map).first { $0.contains("has no key 'x'") }, "\(map)")
      let keys =
        message.components(separatedBy: "(it may have ").last?.dropLast().components(separatedBy: ", ") ?? []
      #expect(!keys.isEmpty)
      for key in keys.map({ $0.replacingOccurrences(of: "'", with: "") }) {
        #expect(page.contains("`\(key)`") || page.contains("\(key): "), "\(key)")
      }
    }
  }

  @Test func `the tables in Routes are silent`() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.root.path + "/Routes")
    #expect(names.count >= 6)
    for name in names {
      let result = ConfigurationLoader().load("\(Self.root.path)/Routes/\(name)")
      #expect(result.configuration != nil)
      #expect(result.diagnostics.map(\.description) == [])
    }
  }

  @Test func `each table in Routes says for whom it is, and proves it`() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.root.path + "/Routes")
    for name in names {
      let text = try String(contentsOfFile: "\(Self.root.path)/Routes/\(name)", encoding: .utf8)
      #expect(text.hasPrefix("# For "), "\(name)")
      #expect(text.contains("\ntests:\n"), "\(name)")
    }
  }
}
