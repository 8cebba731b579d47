import Foundation

/// More programs that use a proxy for TCP.
extension Client {
  /// Runs a program with all it does led through the proxy, names too.
  static func torsocks(
    through proxy: String, _ command: [String], in network: Network? = nil
  ) throws -> ChildProcess.Exit {
    let directory = try TemporaryDirectory()
    let file = try directory.write(
      """
      TorAddress 127.0.0.1
      TorPort \(portNumber(of: proxy))

      """, to: "torsocks.conf")
    return try ChildProcess.run(
      try Program("torsocks", package: "torsocks"), command, environment: ["TORSOCKS_CONF_FILE": file],
      in: network)
  }
}

/// A web server that can live in a network of its own.
final class PythonTarget: Sendable {
  static let greeting = "hello from python"
  let port: UInt16 = 8080
  private let process: ChildProcess
  private let directory: TemporaryDirectory

  init(on host: String, in network: Network) throws {
    directory = try TemporaryDirectory()
    try directory.write(Self.greeting + "\n", to: "index.html")
    process = try ChildProcess(
      try Program("python3", package: "python3"),
      ["-u", "-m", "http.server", "\(port)", "--bind", host, "--directory", directory.path], in: network)
    try process.line(containing: "Serving HTTP")
  }
}
