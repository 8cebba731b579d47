import Foundation
import Testing

/// The program as it comes, without `dns:`: what it asks stands in /etc/resolv.conf, which changes below it.
@Suite(.blocking)
struct SystemResolverTests {
  private let network: Network
  private let servers: ChildProcess
  /// In the place of /etc.
  private let directory: TemporaryDirectory
  private let tables: TemporaryDirectory
  private let process: ChildProcess
  private let address: String

  /// Answers on port 53 of three addresses: a name that ends in `.test` has the address of the server that is asked, and
  /// is to be forgotten at once; no other name exists. Says what is asked.
  private static let answering = #"""
    import select, socket
    sockets = []
    for number in 1, 2, 3:
      one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      one.bind((f"127.0.0.{number}", 53))
      sockets.append(one)
    print("it is up", flush=True)
    while True:
      for one in select.select(sockets, [], [])[0]:
        query, peer = one.recvfrom(4096)
        labels, place = [], 12
        while query[place]:
          labels.append(query[place + 1:place + 1 + query[place]].decode())
          place += 1 + query[place]
        name, kind, end = ".".join(labels), query[place + 2], place + 5
        print("asked", name, "extended" if len(query) > end else "plain", flush=True)
        exists = name.endswith(".test")
        record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(one.getsockname()[0])
        has = exists and kind == 1
        header = query[:2] + (b"\x81\x80" if exists else b"\x81\x83") + b"\0\1\0" + bytes([has]) + b"\0\0\0\0"
        one.sendto(header + query[12:end] + (record if has else b""), peer)
    """#

  /// Without a resolv.conf.
  init() throws {
    network = try Network()
    servers = try ChildProcess(
      try Program("python3", package: "python3"), ["-c", Self.answering], in: network)
    try servers.line(containing: "it is up")
    directory = try TemporaryDirectory()
    tables = try TemporaryDirectory()
    address = "unix:\(directory.path)/socket"
    let table = try tables.write(
      """
      listen: \(address)
      upstreams: {short: "socks5://proxy:1080", dotted: "socks5://proxy.team:1080"}
      routes: [{port: 1, via: short}, {port: 2, via: dotted}]
      default: direct

      """, to: "table.yaml")
    process = try ChildProcess(
      try Program("unshare", package: "util-linux"),
      [
        "--mount", "/bin/sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\"", directory.path,
        try Sockeye.program().path, "serve", table,
      ], in: network)
    try process.line(containing: "listening on")
  }

  /// The last octet of the address of `name`, 0 when there is none; asked for by RESOLVE.
  private func resolve(_ name: String) throws -> UInt8 {
    let client = try Socket(to: address)
    try client.send(SOCKS.noAuthentication + SOCKS.request(command: 0xF0, to: "\(name):0"))
    try #require(try client.receive(exactly: 2) == [5, 0])
    let (reply, _) = try client.receiveToEnd()
    return reply.count == 10 && reply[1] == 0 ? reply[7] : 0
  }

  /// Changes the file that is there.
  private func write(_ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  private var path: String { "\(directory.path)/resolv.conf" }

  @Test func `resolv.conf may be missing, come, be replaced, emptied and go, and each is noticed`() throws {
    func expect(_ server: UInt8, _ change: String) throws {
      try eventually("\(change) was not noticed") { try resolve("some.test") == server }
    }
    #expect(try resolve("some.test") == 1)
    try write("nameserver 127.0.0.2\n")
    try expect(2, "a new file")
    try directory.write("nameserver 127.0.0.3\n", to: "resolv.conf")
    try expect(3, "a file in its place")
    try write("")
    try expect(1, "an empty file")
    try write("nameserver 127.0.0.2\n")
    try expect(2, "a file that is no more empty")
    #expect(unlink(path) == 0)
    try expect(1, "a file that has gone")
    // As a service of the system does it, which keeps the file elsewhere.
    try directory.write("nameserver 127.0.0.3\n", to: "stub")
    #expect(symlink("stub", path) == 0)
    try expect(3, "a link")
    try directory.write("nameserver 127.0.0.2\n", to: "stub")
    try expect(2, "a file in the place that a link leads to")
  }

  @Test func `of resolv.conf the domains, ndots and edns0 hold`() throws {
    try directory.write("nameserver 127.0.0.2\nsearch corp.test\noptions ndots:3 edns0\n", to: "resolv.conf")
    try eventually("the domain was not searched") { try resolve("wiki") == 2 }
    try servers.line(containing: "asked wiki.corp.test extended")
    // A destination's name with a dot is absolute.
    #expect(try resolve("wiki.lab") == 0)
    #expect(try resolve("wiki.lab.test") == 2)
    #expect(!servers.lines.all.contains { $0.contains("wiki.lab.corp") || $0.contains("lab.test.corp") })
  }

  @Test func `the name of a hop is searched for in the domains, with a dot too if ndots asks for more`()
    throws
  {
    try directory.write("nameserver 127.0.0.2\nsearch corp.test\noptions ndots:5\n", to: "resolv.conf")
    try eventually("the domain was not searched") { try resolve("wiki") == 2 }
    for (port, name) in [(1, "proxy"), (2, "proxy.team")] {
      #expect(try Socket(to: address).requestConnect(to: "192.0.2.1:\(port)").code != 0)
      // The hop was found, and is not there.
      let line = try process.line(containing: " to=192.0.2.1:\(port) ")
      #expect(line.contains(" phase=connect "), "\(line)")
      try servers.line(containing: "asked \(name).corp.test plain")
      #expect(!servers.lines.all.contains { $0.contains("asked \(name) ") })
    }
  }

  /// Without a reload a change goes unseen for up to a second.
  @Test func `a reload looks at the files again`() throws {
    for round in 0..<10 {
      let server = UInt8(2 + round % 2)
      // The files have just been looked at, or are for this question.
      _ = try resolve("some.test")
      try directory.write("nameserver 127.0.0.\(server)\n", to: "resolv.conf")
      process.signal(SIGHUP)
      try process.lines.wait(for: "reload \(round)") {
        $0.count { $0.contains("reloaded") } > round ? () : nil
      }
      #expect(try resolve("some.test") == server, "\(round)")
    }
  }

  @Test func `hosts, which is asked first, is read anew as well`() throws {
    #expect(try resolve("some.test") == 1)
    try directory.write("127.0.0.9 some.test\n", to: "hosts")
    try eventually("a hosts file was not noticed") { try resolve("some.test") == 9 }
    #expect(unlink("\(directory.path)/hosts") == 0)
    try eventually("that it has gone was not noticed") { try resolve("some.test") == 1 }
  }
}
