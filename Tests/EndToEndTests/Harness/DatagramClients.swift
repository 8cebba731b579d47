import Foundation

/// Programs that send datagrams through a proxy.
extension Client {
  /// Asks for the IPv4 addresses of a name, over UDP, led through the proxy by Dante's `socksify`.
  static func dig(_ name: String, at server: String, through proxy: String) throws -> ChildProcess.Exit {
    let directory = try TemporaryDirectory()
    let file = try directory.write(
      """
      route {
        from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = \(portNumber(of: proxy))
        proxyprotocol: socks_v5
        command: connect udpassociate
        protocol: tcp udp
        method: none
      }

      """, to: "socks.conf")
    _ = try Program("dig", package: "dnsutils")
    _ = try Program("socksify", package: "dante-client")
    // `socksify` leads sendmsg(2) through the proxy, and does not know sendmmsg(2). Where the kernel lacks that, dig
    // does without, so strace(1) makes it lack it.
    return try ChildProcess.run(
      try Program("strace", package: "strace"),
      [
        "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendmmsg", "-e", "inject=sendmmsg:error=ENOSYS",
        "socksify", "dig", "+short", "+tries=1", "+timeout=60",
        "-p", "\(portNumber(of: server))", "@\(server.prefix { $0 != ":" })", name, "A",
      ],
      // Else loopback is not led through the proxy.
      environment: ["SOCKS_CONF": file, "SOCKS_AUTOADD_LANROUTES": "no"])
  }

  /// Sends a text with PySocks and prints the answer and whom PySocks says it is from.
  static func pySocks(
    through proxy: String, send text: String, to host: String, _ port: UInt16, connected: Bool
  ) throws -> ChildProcess.Exit {
    let script = """
      import socket, sys
      try:
        import socks
      except ImportError:
        sys.exit("PySocks is missing: apt-get install python3-socks")
      s = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM)
      s.set_proxy(socks.SOCKS5, "127.0.0.1", \(portNumber(of: proxy)))
      s.settimeout(60)
      destination = ("\(host)", \(port))
      if \(connected ? "True" : "False"):
        s.connect(destination)
        s.send(b"\(text)")
        print(s.recv(500).decode(), "%s:%d" % s.getpeername())
      else:
        s.sendto(b"\(text)", destination)
        data, source = s.recvfrom(500)
        print(data.decode(), "%s:%d" % source)
      """
    return try ChildProcess.run(try Program("python3", package: "python3"), ["-c", script])
  }

  /// Sends a text with Perl's IO::Socket::Socks and prints the answer and its source.
  static func perl(
    through proxy: String, send text: String, to host: String, _ port: UInt16
  ) throws -> ChildProcess.Exit {
    let script = """
      eval { require IO::Socket::Socks } or die "apt-get install libio-socket-socks-perl\\n";
      use Socket;
      my $s = IO::Socket::Socks->new(
        UdpAddr => "127.0.0.1", UdpPort => 0, ProxyAddr => "127.0.0.1", ProxyPort => \(portNumber(of: proxy)),
        SocksVersion => 5, Timeout => 60) or die $IO::Socket::Socks::SOCKS_ERROR;
      $s->send("\(text)", 0, pack_sockaddr_in(\(port), inet_aton("\(host)"))) or die "send: $!";
      my $from = $s->recv(my $answer, 500) or die "receive: $!";
      my ($port, $host) = unpack_sockaddr_in($from);
      print "$answer ", inet_ntoa($host), ":$port\\n";
      """
    return try ChildProcess.run(try Program("perl", package: "perl"), ["-e", script])
  }
}

/// Two peers of a virtual private network over UDP, one of which reaches the other through a proxy.
final class OpenVPN: Sendable {
  private static let inside = (server: "10.8.0.1", client: "10.8.0.2")

  private let directory: TemporaryDirectory
  private let server: ChildProcess
  private let client: ChildProcess
  private let networks: (server: Network, client: Network)

  /// The server listens on `address` of its network; the proxy is one that listens on the client's loopback.
  init(client: Network, server: Network, at address: String, through proxy: String) throws {
    networks = (server, client)
    directory = try TemporaryDirectory()
    let program = try Program("openvpn", package: "openvpn")
    let fingerprints = try (
      server: OpenVPN.makeCertificate("server", in: directory),
      client: OpenVPN.makeCertificate("client", in: directory)
    )
    func arguments(_ name: String, _ peer: String) -> [String] {
      [
        "--dev", "tun", "--proto", "udp4", "--cert", "\(name).cert", "--key", "\(name).key",
        "--peer-fingerprint", peer,
      ]
    }
    self.server = try ChildProcess(
      program,
      arguments("server", fingerprints.client) + [
        "--tls-server", "--dh", "none", "--local", address, "--lport", "1194",
        "--ifconfig", OpenVPN.inside.server, OpenVPN.inside.client,
      ], directory: directory.path, in: server)
    try self.server.line(containing: "link local (bound)")
    self.client = try ChildProcess(
      program,
      arguments("client", fingerprints.server) + [
        "--tls-client", "--remote", address, "1194", "--nobind",
        "--socks-proxy", "127.0.0.1", "\(portNumber(of: proxy))",
        "--ifconfig", OpenVPN.inside.client, OpenVPN.inside.server,
      ], directory: directory.path, in: client)
  }

  func waitForInitialization() throws {
    for process in [server, client] { try process.line(containing: "Initialization Sequence Completed") }
  }

  /// Sends a line from the server's side to the client's, over TCP inside; what arrived.
  func pass(_ line: String) throws -> [String] {
    let netcat = try Program("nc.openbsd", package: "netcat-openbsd")
    let listener = try ChildProcess(
      netcat, ["-n", "-v", "-l", "-N", OpenVPN.inside.server, "8080"], input: line + "\n", in: networks.server
    )
    try listener.line(containing: "Listening")
    return try ChildProcess.run(netcat, ["-n", "-d", OpenVPN.inside.server, "8080"], in: networks.client)
      .output
  }

  /// Makes a key and a certificate for it; the certificate's fingerprint.
  private static func makeCertificate(_ name: String, in directory: TemporaryDirectory) throws -> String {
    let openssl = try Program("openssl", package: "openssl")
    _ = try ChildProcess.run(
      openssl,
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=\(name)", "-keyout", "\(name).key", "-out", "\(name).cert",
      ], directory: directory.path)
    let exit = try ChildProcess.run(
      openssl, ["x509", "-in", "\(name).cert", "-noout", "-sha256", "-fingerprint"], directory: directory.path
    )
    guard let line = exit.output.first, let equals = line.firstIndex(of: "=") else {
      throw NeverHappened(description: "a fingerprint: \(exit)")
    }
    return String(line[line.index(after: equals)...])
  }
}
