import Config
import Foundation
import Testing

/// Reading from the real file system.
@Suite struct FilesystemTests {
  /// Runs with a directory of its own.
  private func withDirectory(_ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "sockeye-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  private func messages(_ path: String) -> [String] {
    ConfigurationLoader().load(path).diagnostics.map(\.message)
  }

  @Test func `a table is read, and what it names is looked for beside it`() throws {
    try withDirectory { directory in
      let table = directory + "/table.yaml"
      try Data("secret\n".utf8).write(to: URL(fileURLWithPath: directory + "/p"))
      let yaml = "upstreams: {a: {url: \"socks5://h:1\", username: u, password_file: p}}\ndefault: a"
      try Data(yaml.utf8).write(to: URL(fileURLWithPath: table))
      chmod(directory + "/p", 0o600)
      #expect(messages(table) == [])
      chmod(directory + "/p", 0o644)
      #expect(
        messages(table) == [
          "every user of this machine can read the password in '\(directory)/p' (chmod o-r the file)"
        ])
    }
  }

  @Test func `what is no regular file is refused, without waiting for it`() throws {
    try withDirectory { directory in
      let advice = "(name a route table file that this user can read)"
      mkfifo(directory + "/fifo", 0o600)
      #expect(messages(directory + "/fifo") == ["the file is not a regular file \(advice)"])
      #expect(messages(directory) == ["the file is not a regular file \(advice)"])
      #expect(messages("/dev/zero") == ["the file is not a regular file \(advice)"])
      #expect(
        messages(directory + "/none") == ["the file cannot be read: No such file or directory \(advice)"])
      #expect(messages(directory + "/a\0b") == ["the file cannot be read: a path holds no NUL \(advice)"])
    }
  }

  @Test func `a file of more than 64 MiB is refused before it is read`() throws {
    try withDirectory { directory in
      let path = directory + "/large"
      #expect(FileManager.default.createFile(atPath: path, contents: nil))
      #expect(truncate(path, (64 << 20) + 1) == 0)
      #expect(
        messages(path) == ["the file is larger than 64 MiB (name a route table file that this user can read)"]
      )
    }
  }

  @Test func `a variable comes from the environment of the process`() throws {
    let variable = try #require(Surroundings.process.variable("PATH"))
    #expect(String(decoding: variable, as: UTF8.self) == ProcessInfo.processInfo.environment["PATH"])
    #expect(Surroundings.process.variable("SOCKEYE_NO_SUCH_VARIABLE") == nil)
  }
}
