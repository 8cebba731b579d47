import Foundation
import Testing

/// Sockets that the service manager opens and passes to the program: sd_listen_fds(3).
@Suite(.blocking)
struct PassedSocketsTests {
  private func serve(
    _ table: String, passed: [ListeningDescriptor], environment: [String: String] = [:]
  ) throws -> ChildProcess.Exit {
    let directory = try TemporaryDirectory()
    let file = try directory.write(table, to: "table.yaml")
    return try ChildProcess(
      try Sockeye.program(), ["serve", file], environment: environment, passed: passed.map(\.number)
    ).wait()
  }

  @Test func `listeners use the passed sockets with their addresses, and others are opened as usual`() throws
  {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let sockets = [
      try ListeningDescriptor(on: "127.0.0.1:0"), try ListeningDescriptor(on: "[::1]:0"),
      try ListeningDescriptor(on: "unix:\(directory.path)/socks"),
    ]
    let addresses = sockets.map(\.address)
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "\(addresses[2])"}
        - {address: "127.0.0.1:0"}
        - {address: "\(addresses[1])"}
        - {address: "\(addresses[0])", name: office}
      routes: [{listener: office, via: reject}]
      default: direct

      """, passed: sockets)
    try sockeye.process.line(containing: "listening on \(addresses[0])")
    for address in [addresses[1], addresses[2], sockeye.addresses[1]] {
      #expect(try Socket(to: address).requestConnect(to: target.address).code == 0, "\(address)")
    }
    #expect(try Socket(to: addresses[0]).requestConnect(to: target.address).code == 2)
    // A listener of its own, however it was opened.
    #expect(try Socket(to: addresses[1]).requestConnect(to: addresses[0]).code == 2)
    // O_CLOEXEC and O_NONBLOCK, in octal digits: open(2).
    for number in 3...5 {
      let text = try String(
        contentsOfFile: "/proc/\(sockeye.process.identifier)/fdinfo/\(number)", encoding: .utf8)
      let flags = try #require(
        text.firstMatch(of: #/flags:\s+([0-7]+)/#).flatMap { Int($0.1, radix: 8) })
      #expect(flags & 0o2004000 == 0o2004000, "\(text)")
    }
    // The file belongs to the service manager, and what arrives now waits for the next program.
    sockeye.signal(SIGTERM)
    #expect(try sockeye.process.wait().status == 0)
    for address in addresses { _ = try Socket(to: address) }
  }

  @Test func `a name tells which listener a socket is for, where the table leaves the port to the system`()
    throws
  {
    let target = try Server.silent()
    let sockets = [try ListeningDescriptor(on: "127.0.0.1:0"), try ListeningDescriptor(on: "127.0.0.1:0")]
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", name: office}
        - {address: "127.0.0.1:0", name: lab}
        - 127.0.0.1:0
      routes: [{listener: lab, via: reject}]
      default: direct

      """, environment: ["LISTEN_FDNAMES": "lab:office"], passed: sockets)
    #expect(sockeye.addresses.dropLast() == [sockets[1].address, sockets[0].address])
    #expect(try Socket(to: sockets[0].address).requestConnect(to: target.address).code == 2)
    #expect(try Socket(to: sockets[1].address).requestConnect(to: target.address).code == 0)
  }

  @Test func `the connections of one socket are dealt out to all loops`() throws {
    let target = try Server.silent()
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    let sockeye = try Sockeye(
      "listen: \"\(socket.address)\"\ndefault: direct\n", arguments: ["--workers", "3"], passed: [socket])
    let clients = try (0..<24).map { _ in
      let client = try Socket(to: socket.address)
      #expect(try client.requestConnect(to: target.address).code == 0)
      return client
    }
    // Eight tunnels have 16 ends; besides, a loop watches five descriptors or so.
    let watched = try sockeye.process.watchedDescriptors
    #expect(watched.count { $0 >= 16 } == 3, "\(watched)")
    withExtendedLifetime(clients) {}
  }

  @Test func `a reload keeps passed sockets, and one that takes their listener away is refused`() throws {
    let target = try Server.silent()
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    let listener = "listen: [\"\(socket.address)\", \"127.0.0.1:0\"]\n"
    let sockeye = try Sockeye(listener + "default: direct\n", passed: [socket])
    try sockeye.reload(listener + "default: reject\n")
    try sockeye.process.line(containing: "info reloaded")
    #expect(try Socket(to: socket.address).requestConnect(to: target.address).code == 2)

    try sockeye.reload("listen: 127.0.0.1:0\ndefault: direct\n")
    try sockeye.process.line(
      containing: "no listener of the table is for the passed socket \(socket.address): add this address")
    try sockeye.process.line(containing: "was not reloaded: the table that runs stays")
    #expect(try Socket(to: socket.address).requestConnect(to: target.address).code == 2)
  }

  @Test func `the next program serves while the one before has the control socket, and opens it later`()
    throws
  {
    let directory = try TemporaryDirectory()
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    let table = """
      listen: "\(socket.address)"
      control: unix:\(directory.path)/control
      default: reject

      """
    let first = try Sockeye(table, passed: [socket])
    let second = try Sockeye(table, passed: [socket])
    try second.process.line(containing: "another program listens on the control socket")
    first.signal(SIGTERM)
    #expect(try first.process.wait().status == 0)
    #expect(try Socket(to: socket.address).requestConnect(to: "192.0.2.1:80").code == 2)
    try eventually("the next program answers at the control socket") {
      try ChildProcess.run(try Sockeye.program(), ["status", second.directory.path + "/table.yaml"]).status
        == 0
    }
  }

  @Test func `what is passed to another process is none of its business`() throws {
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    let sockeye = try Sockeye(
      "listen: 127.0.0.1:0\ndefault: direct\n", environment: ["LISTEN_PID": "1"], passed: [socket])
    #expect(sockeye.address != socket.address)
  }

  @Test func `the variables are gone when the table is read`() throws {
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
      let exit = try serve(
        "upstreams: {x: \"socks5://u:${\(name)}@192.0.2.1:1\"}\ndefault: x\n", passed: [socket],
        environment: ["LISTEN_FDNAMES": "x"])
      #expect(exit.status == 1)
      #expect(exit.errors.contains { $0.contains("error: ") && $0.contains(name) }, "\(exit)")
    }
  }

  // MARK: What cannot be served

  @Test(arguments: ["127.0.0.1:1", "0.0.0.0:0", "\(FreePort.take())"])
  func `a socket that no listener is for is an error`(listener: String) throws {
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    let address = listener.contains(":") ? listener : "127.0.0.1:\(listener)"
    let exit = try serve("listen: {address: \"\(address)\", open: true}\ndefault: direct\n", passed: [socket])
    #expect(exit.status == 1)
    #expect(
      exit.errors.last?.hasSuffix(
        "cannot serve: no listener of the table is for the passed socket \(socket.address): add this address to"
          + " 'listen', or take it out of the socket unit") == true, "\(exit)")
  }

  @Test func `a socket with the name of a listener is for no other, and never at another address`() throws {
    let socket = try ListeningDescriptor(on: "0.0.0.0:0")
    let port = portNumber(of: socket.address)
    for table in [
      "listen: [{address: \"127.0.0.1:0\", name: office}]",
      "listen: [{address: \"127.0.0.1:0\", name: office}, {address: \"0.0.0.0:\(port)\", open: true}]",
    ] {
      let exit = try serve(
        table + "\ndefault: direct\n", passed: [socket], environment: ["LISTEN_FDNAMES": "office"])
      #expect(exit.status == 1)
      #expect(
        exit.errors.last?.contains("for the passed socket 0.0.0.0:\(port) ('office'): ") == true, "\(exit)")
    }
  }

  enum Unfit: String, CaseIterable {
    case datagrams = "is not a TCP or Unix-domain stream socket"
    case connection = "does not listen (a socket unit needs 'Accept=no')"
    case file = "is not a socket"
    case netlink = "is a socket of neither IPv4, IPv6 nor the Unix domain"
    case everything = "listens on [::] for IPv4 too (write 'BindIPv6Only=ipv6-only'"

    func make() throws -> ListeningDescriptor {
      func open(_ family: Int32, _ type: __socket_type) -> ListeningDescriptor {
        ListeningDescriptor(socket(family, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0))
      }
      return switch self {
      case .datagrams: open(AF_INET, SOCK_DGRAM)
      case .connection: open(AF_INET, SOCK_STREAM)
      case .file: ListeningDescriptor(Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC))
      case .netlink: open(AF_NETLINK, SOCK_RAW)
      case .everything: try ListeningDescriptor(on: "[::]:0")
      }
    }
  }

  @Test(arguments: Unfit.allCases)
  func `what cannot be accepted from is an error that says what to do`(unfit: Unfit) throws {
    let sockets = [try ListeningDescriptor(on: "127.0.0.1:0"), try unfit.make()]
    let exit = try serve(
      "listen: \"\(sockets[0].address)\"\ndefault: direct\n", passed: sockets,
      environment: ["LISTEN_FDNAMES": "a:b"])
    #expect(exit.status == 1)
    #expect(exit.errors.count == 1)
    #expect(
      exit.errors[0].hasPrefix("sockeye: cannot start: the passed descriptor 4 ('b') \(unfit.rawValue)"),
      "\(exit)")
  }

  @Test(arguments: [
    ("LISTEN_FDS", "x", "LISTEN_FDS is 'x', which is not a number of sockets"),
    ("LISTEN_FDS", "-1", "LISTEN_FDS is '-1', which is not a number of sockets"),
    ("LISTEN_FDS", "1000000000", "the passed descriptor 4 is not open"),
    ("LISTEN_FDNAMES", "a:b", "LISTEN_FDNAMES has 2 names for 1 sockets"),
  ])
  func `variables that mean nothing are an error`(variable: String, value: String, message: String) throws {
    let socket = try ListeningDescriptor(on: "127.0.0.1:0")
    let exit = try serve(
      "listen: \"\(socket.address)\"\ndefault: direct\n", passed: [socket], environment: [variable: value])
    #expect(exit.status == 1)
    #expect(exit.errors == ["sockeye: cannot start: \(message)"])
  }
}

extension ChildProcess {
  /// How many descriptors each of its epoll instances watches.
  fileprivate var watchedDescriptors: [Int] {
    get throws {
      let directory = "/proc/\(identifier)"
      let numbers = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/fd").filter {
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/fd/\($0)")
        return target == "anon_inode:[eventpoll]"
      }
      return try numbers.map { number in
        let file = FileHandle(forReadingAtPath: "\(directory)/fdinfo/\(number)")
        let text = String(decoding: try file?.readToEnd() ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").count { $0.hasPrefix("tfd:") }
      }
    }
  }
}
