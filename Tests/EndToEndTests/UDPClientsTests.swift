import Testing

/// Programs people use, that send datagrams through Sockeye, and through hops behind it.
@Suite(.blocking)
struct UDPClientsTests {
  private static func serve(_ hops: Int) throws -> (sockeye: Sockeye, hops: [UDPChainsTests.Hop]) {
    let kinds: [UDPChainsTests.Kind] = [.dante, .sockeye, .dante]
    let hops = try kinds.prefix(hops).map(UDPChainsTests.Hop.init)
    let sockeye =
      hops.isEmpty ? try Sockeye("default: direct\n") : try UDPChainsTests.serve(through: hops.map(\.address))
    return (sockeye, hops)
  }

  @Test(arguments: 0...3)
  func `dig gets its answer`(hopCount: Int) throws {
    let names = try NameServer(["some.test": .addresses(["127.0.0.7"])])
    let (sockeye, hops) = try Self.serve(hopCount)
    let exit = try Client.dig("some.test", at: names.address, through: sockeye.address)
    #expect(exit.output == ["127.0.0.7"], "\(exit)")
    let line = try sockeye.process.line(containing: " info udp client=")
    #expect(line.contains(" datagrams_up=1 datagrams_down=1 "), "\(line)")
    withExtendedLifetime(hops) {}
  }

  @Test(arguments: 0...2, [false, true])
  func `PySocks gets its answer, connected or not`(hopCount: Int, connected: Bool) throws {
    let target = try DatagramServer.echo()
    let (sockeye, hops) = try Self.serve(hopCount)
    let exit = try Client.pySocks(
      through: sockeye.address, send: "hello", to: "127.0.0.1", target.port, connected: connected)
    #expect(exit.output == ["hello \(target.address)"], "\(exit)")
    withExtendedLifetime(hops) {}
  }

  @Test(arguments: 0...2)
  func `Perl's IO::Socket::Socks gets its answer`(hopCount: Int) throws {
    let target = try DatagramServer.echo()
    let (sockeye, hops) = try Self.serve(hopCount)
    let exit = try Client.perl(through: sockeye.address, send: "hello", to: "127.0.0.1", target.port)
    #expect(exit.output == ["hello \(target.address)"], "\(exit)")
    withExtendedLifetime(hops) {}
  }

  @Test(arguments: 0...2)
  func `OpenVPN completes its initialization, and carries a connection`(hopCount: Int) throws {
    let (near, far) = (try Network(), try Network())
    try near.connect(as: "10.77.0.1/24", to: far, as: "10.77.0.2/24")
    let dante = try Dante(external: "10.77.0.1", in: near)
    let last = try Sockeye("default: direct\n", in: near)
    let sockeye = try Sockeye(
      """
      upstreams:
        dante: socks5://\(dante.address)
        last: socks5://\(last.address)
      default: \(["direct", "dante", "[dante, last]"][hopCount])

      """, in: near)
    let tunnel = try OpenVPN(client: near, server: far, at: "10.77.0.2", through: sockeye.address)
    try tunnel.waitForInitialization()
    #expect(try tunnel.pass("through the tunnel") == ["through the tunnel"])
  }
}
