import Foundation
import Testing

/// The system's authorities are some 140 certificates, which take OpenSSL 30 ms and 0.8 MB.
@Suite(.blocking)
struct SystemAuthoritiesTests {
  /// How often they are read until a program serves this table.
  private func readings(_ table: String) throws -> Int {
    let directory = try TemporaryDirectory()
    let file = try directory.write(table, to: "table.yaml")
    let authorities = try directory.write("", to: "authorities.pem")
    let trace = directory.path + "/trace"
    let exit = try ChildProcess.run(
      try Program("strace", package: "strace"),
      ["-f", "-qq", "-o", trace, "-e", "trace=open,openat"]
        + [try Sockeye.program().path, "run", "--log-level", "error", file, "--", "/bin/true"],
      environment: ["SSL_CERT_FILE": authorities])
    #expect(exit.status == 0, "\(exit)")
    let calls = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
    #expect(calls.contains { $0.contains("\"\(file)\"") })
    return calls.count { $0.contains("\"\(authorities)\"") }
  }

  @Test func `upstreams share the system's authorities, which are read once`() throws {
    let upstreams = (0..<50).map {
      "  u\($0): {url: \"https://proxy\($0).test:443\", server_name: name\($0).test}\n"
    }
    let readings = try readings("upstreams:\n\(upstreams.joined())  v: socks5+tls://v.test:1\ndefault: u0\n")
    #expect(readings == 1)
  }

  @Test(arguments: ["socks5://proxy.test:1080", "{url: \"https://proxy.test:443\", insecure: true}"])
  func `without an upstream that needs the system's authorities, they are not read`(upstream: String) throws {
    #expect(try readings("upstreams: {u: \(upstream)}\ndefault: u\n") == 0)
  }
}
