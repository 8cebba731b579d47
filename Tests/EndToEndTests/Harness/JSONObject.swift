import Foundation
import Testing

/// A line that is one JSON object, as `--json` and `--log-format json` print it, each of whose keys its page describes.
struct JSONObject {
  let members: [String: Any]

  /// Records an issue for a key that stands twice in one object, or is not in the section of docs/command-line.md.
  ///
  /// - Parameter heading: of that section: the command.
  init(_ line: String, of heading: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
    members = try #require(object as? [String: Any], "\(line)", sourceLocation: sourceLocation)
    let keys = Self.keys(of: object)
    let documented = try Self.documentedKeys(under: heading)
    for (key, count) in Dictionary(grouping: keys) { $0 }.mapValues(\.count) {
      let written = line.matches(of: try Regex("\"\(key)\":")).count
      #expect(written == count, "'\(key)' stands twice: \(line)", sourceLocation: sourceLocation)
      #expect(documented.contains(key), "'\(key)': \(line)", sourceLocation: sourceLocation)
    }
  }

  func string(_ key: String) -> String? { members[key] as? String }
  func int(_ key: String) -> Int? { members[key] as? Int }
  func bool(_ key: String) -> Bool? { members[key] as? Bool }
  func object(_ key: String) -> [String: Any] { members[key] as? [String: Any] ?? [:] }
  func objects(_ key: String) -> [[String: Any]] { members[key] as? [[String: Any]] ?? [] }

  private static func keys(of value: Any) -> [String] {
    switch value {
    case let object as [String: Any]: object.keys + object.values.flatMap(keys)
    case let array as [Any]: array.flatMap(keys)
    default: []
    }
  }

  /// Words in backticks, and the keys of the objects that the page shows.
  private static func documentedKeys(under heading: String) throws -> Set<String> {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: root.appendingPathComponent("docs/command-line.md"), encoding: .utf8)
    let section = try #require(page.components(separatedBy: "\n## ").first { $0.hasPrefix(heading + "\n") })
    return Set(section.matches(of: #/[`"]([a-z_]+)[`"]/#).map { String($0.1) })
  }
}
