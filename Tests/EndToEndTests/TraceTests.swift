import Testing

/// `trace`: really dialled, hop by hop.
@Suite(.blocking)
struct TraceTests {
  private let directory: TemporaryDirectory
  private let dead: DeadPort
  private let office: Sockeye
  private let target: Server

  init() throws {
    directory = try TemporaryDirectory()
    dead = try DeadPort()
    office = try Sockeye("default: direct\n")
    target = try Server.silent()
    try directory.write(
      """
      upstreams:
        office: socks5://alice:s3cret@\(office.address)
        tor: socks5://\(dead.address)
        exit: socks5://\(office.address)
      routes:
        - {ip: 127.0.0.2, via: [exit, tor]}
        - {ip: 127.0.0.3, via: direct}
        - {ip: 127.0.0.4, via: reject}
      default: [exit]

      """, to: "table.yaml")
  }

  private func trace(_ destination: String) throws -> ChildProcess.Exit {
    try Sockeye.run("trace", "table.yaml", destination, directory: directory.path)
  }

  @Test func `a road that is open`() throws {
    let exit = try trace(target.address)
    #expect(exit.status == 0, "\(exit)")
    #expect(exit.output.contains { $0.contains("exit") && $0.contains("ms") }, "\(exit)")
    try target.accepted.wait(forCount: 1)
  }

  @Test func `a dead second hop is named, with phase and reply`() throws {
    let exit = try trace("127.0.0.2:80")
    #expect(exit.status == 1, "\(exit)")
    #expect(
      (exit.output + exit.errors).contains { $0.contains(#/hop.*2.*tor.*05.*refused/#) }, "\(exit)")
  }

  @Test func `no hop at all`() throws {
    let open = try Server.silent(on: "127.0.0.3:0")
    #expect(try trace(open.address).status == 0)
    let closed = try DeadPort(on: "127.0.0.3")
    let exit = try trace(closed.address)
    #expect(exit.status == 1)
    #expect((exit.output + exit.errors).contains { $0.contains("refused") }, "\(exit)")
  }

  @Test func `a destination that is rejected is not dialled`() throws {
    let exit = try trace("127.0.0.4:80")
    #expect(exit.status == 1, "\(exit)")
    #expect((exit.output + exit.errors).contains { $0.contains("reject") }, "\(exit)")
  }

  @Test func `passwords are not printed`() throws {
    #expect(!(try trace(target.address)).description.contains("s3cret"))
  }
}
