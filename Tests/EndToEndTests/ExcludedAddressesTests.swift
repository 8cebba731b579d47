import Testing

/// Tables that let all but some addresses pass, asked for names with such an address (T16).
@Suite(.blocking)
struct ExcludedAddressesTests {
  private static let tables = [
    "routes: [{not: {ip: 127.0.0.66}, via: direct}]\ndefault: reject\n",
    "routes: [{all: [{client: 127.0.0.0/8}, {not: {ip: 127.0.0.66}}], via: direct}]\ndefault: reject\n",
    "routes: [{not: {any: [{ip: 127.0.0.66}, {port: 1}]}, via: direct}, {port: 1-65535, via: reject}]\n"
      + "default: reject\n",
    "routes: [{any: [{domain: test}, {ip: 10.0.0.0/8}], via: direct}, {ip: 127.0.0.66, via: reject}]\n"
      + "default: direct\n",
  ]

  @Test(arguments: tables)
  func `a name with an address that the table excludes gets nowhere, by any command`(table: String) throws {
    let target = try Server.echo(on: "0.0.0.0:0")
    let datagrams = try DatagramServer.echo()
    let inside = try DatagramServer.echo(on: "127.0.0.66:\(portNumber(of: datagrams.address))")
    let sockeye = try Sockeye("hosts: {inside.test: 127.0.0.66, outside.test: 127.0.0.1}\n\(table)")

    let refused = try Socket(to: sockeye.address)
    #expect(try refused.requestConnect(to: "inside.test:\(target.port)").code == 2)
    let served = try Socket(to: sockeye.address)
    #expect(try served.requestConnect(to: "outside.test:\(target.port)").code == 0)
    try served.send(1)
    #expect(try served.receive(exactly: 1) == [1])
    // It was accepted last.
    #expect(target.accepted.all.count == 1)

    func ask(_ command: UInt8, _ name: String) throws -> UInt8 {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication)
      _ = try client.receive(exactly: 2)
      return try client.request(SOCKS.request(command: command, to: "\(name):80")).code
    }
    for command in [2, 0xF0] as [UInt8] {
      #expect(try ask(command, "inside.test") == 2, "\(command)")
      #expect(try ask(command, "outside.test") == 0, "\(command)")
    }

    let client = try Association(through: sockeye.address)
    for name in ["inside.test", "outside.test"] {
      let port = portNumber(of: datagrams.address)
      try client.send(raw: SOCKS.datagram(toName: Array(name.utf8), port: port, Array("hello".utf8)))
    }
    #expect(try client.receive().source == datagrams.address)
    #expect(inside.payloads == [])
    #expect(try sockeye.closing(client).contains("rejected:1"))
  }
}
