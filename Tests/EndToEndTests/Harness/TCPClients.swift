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

  /// Runs a program with its connections led through the proxy by Dante's `socksify`, those that it awaits too.
  static func socksify(
    through proxy: String, version: Int = 5, _ program: Program, _ arguments: [String], directory: String
  ) throws -> ChildProcess.Exit {
    let own = try TemporaryDirectory()
    let file = try own.write(
      """
      route {
        from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = \(portNumber(of: proxy))
        proxyprotocol: socks_v\(version)
        command: connect bind
        protocol: tcp
        method: none
      }

      """, to: "socks.conf")
    return try ChildProcess.run(
      try Program("socksify", package: "dante-client"), [program.path] + arguments,
      // Else loopback is not led through the proxy.
      environment: ["SOCKS_CONF": file, "SOCKS_AUTOADD_LANROUTES": "no"], directory: directory)
  }

  /// Awaits a connection from 127.0.0.1 with Perl's IO::Socket::Socks: prints where, then who came, then a line that it
  /// says, and answers with `answer`. In SOCKS5: of SOCKS4 it cannot read the second reply.
  static func perlBind(through proxy: String, answer: String) throws -> ChildProcess {
    let script = """
      eval { require IO::Socket::Socks } or die "apt-get install libio-socket-socks-perl\\n";
      $| = 1;
      my $s = IO::Socket::Socks->new(
        ProxyAddr => "127.0.0.1", ProxyPort => \(portNumber(of: proxy)), SocksVersion => 5,
        BindAddr => "127.0.0.1", BindPort => 0, Timeout => 60) or die $IO::Socket::Socks::SOCKS_ERROR;
      print "awaited at ", join(":", ($s->dst)[0, 1]), "\\n";
      $s->accept or die $IO::Socket::Socks::SOCKS_ERROR;
      print "there is ", join(":", ($s->dst)[0, 1]), "\\n";
      print "it says ", scalar <$s>;
      print $s "\(answer)\\n";
      close $s;
      """
    return try ChildProcess(try Program("perl", package: "perl"), ["-e", script])
  }
}

/// An FTP server, pyftpdlib, that gives a file to anybody.
final class FTPTarget: Sendable {
  static let file = "active.txt"
  static let content = "hello by FTP"
  let address: String
  let process: ChildProcess
  private let directory: TemporaryDirectory

  init() throws {
    let port = FreePort.take()
    address = "127.0.0.1:\(port)"
    directory = try TemporaryDirectory()
    try directory.write(Self.content + "\n", to: Self.file)
    process = try ChildProcess(
      try Program("python3", package: "python3 python3-pyftpdlib"),
      ["-u", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", "\(port)", "-d", directory.path])
    try process.line(containing: "starting FTP server")
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
