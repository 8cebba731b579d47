import Foundation
import Testing

/// Standard streams that are full, or closed.
@Suite(.blocking)
struct StandardStreamsTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(arguments: [
    ["explain", "table.yaml", "some.test:80"], ["explain", "--json", "table.yaml", "some.test:80"],
    ["import", "proxies.txt"], ["serve", "--help"], ["--version"],
  ])
  func `an answer that cannot be written is a failure`(arguments: [String]) throws {
    try directory.write("listen: 127.0.0.1:0\ndefault: direct\n", to: "table.yaml")
    try directory.write("[ProxyList]\nsocks5 127.0.0.1 9050\n", to: "proxies.txt")
    for redirection in [">/dev/full", ">&-"] {
      let exit = try ChildProcess.run(
        try Program("bash", package: "bash"),
        ["-c", "\"$@\" \(redirection)", "bash", try Sockeye.program().path] + arguments,
        directory: directory.path)
      #expect(exit.status == 1, "\(redirection) \(exit)")
      #expect(
        exit.errors.contains { $0.hasPrefix("sockeye: cannot write to standard output: ") },
        "\(redirection) \(exit)")
    }
  }

  // Else a listener would take the number of standard output or error, and be written into.
  @Test func `closed streams are opened on dev-null before anything else`() throws {
    let control = directory.path + "/control.sock"
    try directory.write("listen: 127.0.0.1:0\ncontrol: unix:\(control)\ndefault: direct\n", to: "table.yaml")
    let process = try ChildProcess(
      try Program("bash", package: "bash"),
      ["-c", "exec \"$@\" serve table.yaml 0<&- 1>&- 2>&-", "bash", try Sockeye.program().path],
      directory: directory.path)
    let status = try ChildProcess.run(
      try Program("bash", package: "bash"),
      ["-c", "until \"$@\" status table.yaml; do :; done", "bash", try Sockeye.program().path],
      directory: directory.path)
    #expect(status.status == 0)
    let streams = try (0...2).map {
      try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process.identifier)/fd/\($0)")
    }
    #expect(streams == ["/dev/null", "/dev/null", "/dev/null"])
  }
}
