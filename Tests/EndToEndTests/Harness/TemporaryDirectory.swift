import Foundation

/// A directory that disappears with the value.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    let parent = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
    var template = Array("\(parent)/sockeye-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SocketError("mkdtemp") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Replaces the file in one step, as editors do. Only its owner may read it: tables hold passwords.
  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    let file = "\(path)/\(name)"
    try Data(text.utf8).write(to: URL(fileURLWithPath: file + ".new"))
    chmod(file + ".new", 0o600)
    guard rename(file + ".new", file) == 0 else { throw SocketError("rename \(file)") }
    return file
  }
}
