import Foundation
import Testing

/// The proxy is no way to reach the proxy (T18): not as a destination, and not as a hop.
@Suite(.blocking)
struct OwnListenersTests {
  private let names: NameServer

  init() throws {
    names = try NameServer([
      "own.test": .addresses(["127.0.0.1", "::1"]), "other.test": .addresses(["127.0.0.9"]),
      "nowhere.test": .addresses(["0.0.0.0", "::"]),
    ])
  }

  private func serve(_ listener: String) throws -> Sockeye {
    try Sockeye(
      """
      \(names.table)listen: [{address: "\(listener)", clients: [127.0.0.0/8, "::1"]}]
      hosts: {alias.test: 127.0.0.1}
      default: direct

      """)
  }

  private func expectRefused(_ sockeye: Sockeye, to host: String) throws {
    let door = sockeye.address.hasPrefix("[") ? "[::1]" : "127.0.0.1"
    let destination = "\(host):\(sockeye.port)"
    let client = try Socket(to: "\(door):\(sockeye.port)")
    #expect(try client.requestConnect(to: destination).code == 2, "\(destination)")
    #expect(try client.receiveToEnd() == ([], .end))
    let line = try sockeye.session(to: destination)
    #expect(
      line.hasSuffix(
        #/ via=direct failed destination phase=connect error=\(one of our own listeners\) dial=\d+ms/#),
      "\(line)")
  }

  @Test(arguments: ["127.0.0.1", "own.test", "alias.test", "localhost"])
  func `a listener of ours is no destination, by address or by name (T18)`(host: String) throws {
    try expectRefused(try serve("127.0.0.1:0"), to: host)
  }

  @Test(arguments: ["127.0.0.1", "127.0.0.9", "own.test", "other.test", "alias.test", "localhost"])
  func `a listener on all addresses is reached by none of them (T18)`(host: String) throws {
    try expectRefused(try serve("0.0.0.0:0"), to: host)
  }

  @Test func `nor by the addresses that this host has beside loopback (T18)`() throws {
    let sockeye = try serve("0.0.0.0:0")
    for address in addressesOfThisHost() { try expectRefused(sockeye, to: address) }
  }

  /// From one address of a network to another, the kernel connects from the first that this host has there.
  @Test func `nor by a second address in one network, as destination or as hop (T18)`() throws {
    let (network, other) = (try Network(), try Network())
    try network.connect(as: "192.0.2.1/24", to: other, as: "192.0.2.9/24")
    try network.ip("address add 192.0.2.2/24 dev cable")
    for address in ["2001:db8::1", "2001:db8::2"] {
      try network.ip("address add \(address)/64 dev cable nodad")
    }
    try expectNoWay(
      in: network, to: ["192.0.2.1", "192.0.2.2", "[2001:db8::1]", "[2001:db8::2]"],
      hops: "192.0.2.2", "[2001:db8::2]")
  }

  /// As `ip route add local` makes it: bind(2) takes such an address over IPv4 only.
  @Test(arguments: ["lo", "cable"])
  func `nor by an address of a network that is routed to this host (T18)`(interface: String) throws {
    let (network, other) = (try Network(), try Network())
    try network.connect(as: "192.0.2.1/24", to: other, as: "192.0.2.9/24")
    try network.ip("address add 2001:db8::1/64 dev cable nodad")
    for range in ["198.51.100.0/24", "2001:db8:1::/64"] {
      try network.ip("route add local \(range) dev \(interface)")
    }
    try expectNoWay(
      in: network, to: ["198.51.100.7", "[2001:db8:1::7]"], hops: "198.51.100.7", "[2001:db8:1::7]")
  }

  /// Expects that a listener on all addresses is reached by none of `hosts`, nor by a hop of each family.
  private func expectNoWay(
    in network: Network, to hosts: [String], hops four: String, _ six: String
  ) throws {
    let directory = try TemporaryDirectory()
    let door = "unix:\(directory.path)/socks"
    let sockeye = try Sockeye(
      """
      listen:
        - \(door)
        - {address: "0.0.0.0:1080", open: true}
        - {address: "[::]:1080", open: true}
      upstreams:
        own4: "socks5://\(four):1080"
        own6: "socks5://\(six):1080"
      routes:
        - {host: four.test, via: own4}
        - {host: six.test, via: own6}
      default: direct

      """, in: network)
    for host in hosts {
      #expect(try Socket(to: door).requestConnect(to: "\(host):1080").code == 2, "\(host)")
      let line = try sockeye.session(to: "\(host):1080")
      #expect(line.contains(" error=(one of our own listeners) "), "\(line)")
      // Any other port of this host is a destination.
      #expect(try Socket(to: door).requestConnect(to: "\(host):1081").code == 5, "\(host)")
    }
    for name in ["four.test", "six.test"] {
      #expect(try Socket(to: door).requestConnect(to: "\(name):80").code == 1)
      let line = try sockeye.session(to: "\(name):80")
      #expect(line.contains(" phase=connect error=(one of our own listeners) "), "\(line)")
    }
    #expect(sockeye.log.filter { $0.contains(" connect ") }.count == 2 * hosts.count + 2, "\(sockeye.log)")
  }

  /// With one port to connect from, the kernel connects a socket to itself.
  @Test(arguments: ["127.0.0.1", "[::1]", "this.test", "hop.test"])
  func `a port of this host that nobody listens on is refused, and not connected to itself`(host: String)
    throws
  {
    let network = try Network()
    let exit = try ChildProcess.run(
      Program(path: "/bin/sh"), ["-c", "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range"],
      in: network)
    #expect(exit.status == 0, "\(exit)")
    let directory = try TemporaryDirectory()
    let door = "unix:\(directory.path)/socks"
    let sockeye = try Sockeye(
      """
      listen: \(door)
      hosts: {this.test: 127.0.0.1}
      upstreams: {hop: "socks5://127.0.0.1:40000"}
      routes: [{host: hop.test, via: hop}]
      default: direct

      """, in: network)
    let isHop = host == "hop.test"
    #expect(try Socket(to: door).requestConnect(to: "\(host):40000").code == (isHop ? 1 : 5))
    let line = try sockeye.session(to: "\(host):40000")
    #expect(line.contains(" phase=connect error=(connection refused)"), "\(line)")
  }

  @Test(arguments: ["[::1]", "own.test", "localhost"])
  func `the same over IPv6 (T18)`(host: String) throws {
    try expectRefused(try serve("[::]:0"), to: host)
    try expectRefused(try serve("[::1]:0"), to: host)
  }

  @Test func `the port beside ours is a destination like any other`() throws {
    let target = try Server.silent()
    let sockeye = try serve("0.0.0.0:0")
    let client = try Socket(to: "127.0.0.1:\(sockeye.port)")
    #expect(try client.requestConnect(to: target.address).code == 0)
  }

  @Test(arguments: ["own.test", "other.test", "alias.test"])
  func `a hop whose name leads to us is refused where it is dialled (J8, T18)`(host: String) throws {
    let port = FreePort.take()
    let sockeye = try Sockeye(
      """
      \(names.table)listen: {address: "0.0.0.0:\(port)", clients: 127.0.0.0/8}
      hosts: {alias.test: 127.0.0.1}
      upstreams: {self: "socks5://\(host):\(port)"}
      default: self

      """)
    let client = try Socket(to: "127.0.0.1:\(port)")
    #expect(try client.requestConnect(to: "some.test:80").code == 1)
    let line = try sockeye.session(to: "some.test:80")
    #expect(
      line.contains(" via=self failed hop=1/1 self phase=connect error=(one of our own listeners) "),
      "\(line)")
  }

  /// The IPv4 addresses of all interfaces that are up, but those of loopback.
  private func addressesOfThisHost() -> [String] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    return sequence(first: list) { $0?.pointee.ifa_next }.compactMap { entry in
      guard let address = entry?.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else {
        return nil
      }
      var text = [CChar](repeating: 0, count: 64)
      guard
        getnameinfo(
          address, socklen_t(MemoryLayout<sockaddr_in>.size), &text, 64, nil, 0, NI_NUMERICHOST) == 0
      else { return nil }
      let host = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      return host.hasPrefix("127.") ? nil : host
    }
  }
}

extension String {
  fileprivate func hasSuffix(_ pattern: some RegexComponent) -> Bool {
    ranges(of: pattern).last?.upperBound == endIndex
  }
}
