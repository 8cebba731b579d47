import Foundation

/// A proxy of somebody else's, or one more Sockeye.
protocol Peer: AnyObject, Sendable {
  var process: ChildProcess { get }
}

/// microsocks: CONNECT only, and it loses what arrives in one segment with the greeting.
final class Microsocks: Peer {
  let address: String
  let process: ChildProcess

  /// `external` is the address it leaves from, by which a target knows one from another.
  init(
    on port: UInt16 = FreePort.take(), external: String? = nil, user: String? = nil, password: String = ""
  ) throws {
    address = "127.0.0.1:\(port)"
    process = try ChildProcess(
      try Program("microsocks", package: "microsocks"),
      ["-i", "127.0.0.1", "-p", "\(port)"] + (external.map { ["-b", $0] } ?? [])
        + (user.map { ["-u", $0, "-P", password] } ?? []))
    try waitUntilAccepting(address, process, from: external)
  }

  /// Whether it says it has connected to this address.
  func waitForConnection(to destination: String) throws {
    try process.line(containing: "connected to \(destination)")
  }
}

/// Dante's server: CONNECT, BIND and UDP.
final class Dante: Peer {
  let address: String
  let process: ChildProcess
  private let directory: TemporaryDirectory

  /// `external` is the address it leaves from, by which a target knows one from another.
  init(
    on port: UInt16 = FreePort.take(), external: String = "127.0.0.1", in network: Network? = nil
  ) throws {
    address = "127.0.0.1:\(port)"
    directory = try TemporaryDirectory()
    // It keeps the user it starts as: a change of user would clear the parent-death signal.
    let user = String(cString: getpwuid(getuid()).pointee.pw_name)
    let file = try directory.write(
      """
      logoutput: stderr
      internal: 127.0.0.1 port = \(port)
      external: \(external)
      clientmethod: none
      socksmethod: none
      user.privileged: \(user)
      user.unprivileged: \(user)
      client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
      socks pass {
        from: 0.0.0.0/0 to: 0.0.0.0/0
        command: connect bind udpassociate bindreply udpreply
        log: connect
      }

      """, to: "danted.conf")
    process = try ChildProcess(
      try Program("danted", package: "dante-server"), ["-f", file, "-p", "\(directory.path)/pid"],
      in: network)
    try process.line(containing: " running")
  }

  /// Whether it says it has passed a connection, or an association, on to this address.
  func waitForConnection(to destination: String) throws {
    let dotted = destination.replacingOccurrences(of: ":", with: ".")
    try process.line(containing: dotted)
  }
}

/// Tinyproxy: an HTTP proxy that tunnels anywhere.
final class Tinyproxy: Peer {
  let address: String
  let process: ChildProcess
  private let directory: TemporaryDirectory

  /// `external` is the address it leaves from. The password is of letters, digits, `-`, `.` and `_`.
  init(
    on port: UInt16 = FreePort.take(), external: String? = nil, user: String? = nil, password: String = ""
  ) throws {
    address = "127.0.0.1:\(port)"
    directory = try TemporaryDirectory()
    let authentication = user.map { "BasicAuth \($0) \(password)\n" } ?? ""
    let file = try directory.write(
      """
      Port \(port)
      Listen 127.0.0.1
      Timeout 600
      MaxClients 2000
      LogLevel Connect
      \(authentication)
      \(external.map { "Bind \($0)" } ?? "")

      """, to: "tinyproxy.conf")
    process = try ChildProcess(try Program("tinyproxy", package: "tinyproxy-bin"), ["-d", "-c", file])
    try waitUntilAccepting(address, process, from: external)
  }

  /// Whether it says it was asked for this address.
  func waitForConnection(to destination: String) throws {
    try process.line(containing: "CONNECT \(destination) ")
  }
}

/// Privoxy, without any of its filters.
final class Privoxy: Sendable {
  let address: String
  let process: ChildProcess
  private let directory: TemporaryDirectory

  init() throws {
    let port = FreePort.take()
    address = "127.0.0.1:\(port)"
    directory = try TemporaryDirectory()
    let file = try directory.write(
      "listen-address \(address)\nconfdir /etc/privoxy\ndebug 1\n", to: "privoxy.conf")
    process = try ChildProcess(try Program("privoxy", package: "privoxy"), ["--no-daemon", file])
    try waitUntilAccepting(address, process)
  }

  /// Whether it says it was asked for this address.
  func waitForConnection(to destination: String) throws {
    try process.line(containing: "Request: \(destination)/")
  }
}

/// Some programs say nothing when they are ready; then only asking helps.
func waitUntilAccepting(
  _ address: String, _ process: ChildProcess, from source: String? = nil
) throws {
  let deadline = Date(timeIntervalSinceNow: patience)
  while (try? Socket(to: address, from: source)) == nil {
    guard Date() < deadline, !process.hasExited else {
      throw NeverHappened(description: "nothing listens on \(address): \(process.lines.all)")
    }
    poll(nil, 0, 5)
  }
}

/// Programs that use a proxy.
enum Client {
  static func curl(_ arguments: String...) throws -> ChildProcess.Exit {
    try curl(arguments)
  }

  static func curl(_ arguments: [String]) throws -> ChildProcess.Exit {
    try ChildProcess.run(
      try Program("curl", package: "curl"),
      ["-q", "--silent", "--show-error", "--max-time", "60"] + arguments)
  }

  /// Runs `command` with its connections led through `hops`, strictly in order.
  static func proxychains(_ hops: [String], _ command: [String]) throws -> ChildProcess.Exit {
    let directory = try TemporaryDirectory()
    let list = hops.map { "socks5 " + $0.replacingOccurrences(of: ":", with: " ") }.joined(separator: "\n")
    let file = try directory.write("strict_chain\nproxy_dns\n[ProxyList]\n\(list)\n", to: "proxychains.conf")
    return try ChildProcess.run(
      try Program("proxychains4", package: "proxychains4"), ["-f", file] + command)
  }

  /// OpenBSD's netcat, sending `input` and reading until the far end closes; with `halfClosing` it ends its own
  /// direction after the input.
  static func netcat(
    through proxy: String, to host: String, _ port: UInt16, input: String, halfClosing: Bool = false
  ) throws -> ChildProcess.Exit {
    try ChildProcess.run(
      try Program("nc.openbsd", package: "netcat-openbsd"),
      (halfClosing ? ["-N"] : []) + ["-X", "5", "-x", proxy, host, "\(port)"], input: input)
  }

  /// Fetches with PySocks; `arguments` are those of `set_proxy` after the type.
  static func pySocks(_ arguments: String, host: String, port: UInt16) throws -> ChildProcess.Exit {
    let script = """
      import sys
      try:
        import socks
      except ImportError:
        sys.exit("PySocks is missing: apt-get install python3-socks")
      s = socks.socksocket()
      s.set_proxy(socks.SOCKS5, \(arguments))
      s.settimeout(30)
      s.connect(("\(host)", \(port)))
      s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
      while True:
        data = s.recv(4096)
        if not data: break
        sys.stdout.write(data.decode())
      """
    return try ChildProcess.run(try Program("python3", package: "python3"), ["-c", script])
  }
}
