import Foundation

/// A SOCKS5 server of the test's own that serves CONNECT and UDP ASSOCIATE: honestly, but where its script says otherwise.
final class ScriptedHop: Sendable {
  struct Script: Sendable {
    /// The address its relays are bound to.
    var relayHost = "127.0.0.1"
    /// What it knows of names.
    var names: [String: String] = [:]
    /// Answers UDP ASSOCIATE; `relay` is where datagrams are taken. When it returns, the association lasts until its
    /// control connection ends.
    var answer: @Sendable (_ client: Socket, _ relay: String) throws -> Void = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded(relay))
    }
    /// What is sent to the client in place of a datagram that came for it, which has its header already.
    var deliver: @Sendable (_ datagram: [UInt8]) -> [[UInt8]] = { [$0] }
  }

  /// Where clients of UDP ASSOCIATE said that they would send from.
  let hints = Recorder<String>()
  /// The destinations of CONNECT.
  let connections = Recorder<String>()
  /// The destinations of datagrams.
  let destinations = Recorder<String>()
  /// Who sent the first datagram to each association.
  let clients = Recorder<String>()
  /// The addresses of its associations' relays.
  let relays = Recorder<String>()
  private let controls: Recorder<Socket>
  private let server: Server

  init(on address: String = "127.0.0.1:0", _ script: Script = Script()) throws {
    let controls = Recorder<Socket>()
    self.controls = controls
    server = try Server(on: address) { [hints, connections, destinations, clients, relays] client in
      try client.receiveGreeting()
      try client.send(5, 0)
      let (command, destination) = try client.receiveCommand()
      if command == 1 {
        connections.record(destination)
        try ScriptedHop.tunnel(client, to: script.resolve(destination))
      } else {
        hints.record(destination)
        controls.record(client)
        let relay = try DatagramSocket(on: "\(script.relayHost):0")
        relay.waitWithoutEnd()
        relays.record(relay.address)
        Thread.detachNewThread { try? ScriptedHop.serve(relay, script, destinations, clients) }
        defer { relay.hangUp() }
        try script.answer(client, relay.address)
        _ = try client.receiveToEnd()
      }
    }
  }

  var address: String { server.address }
  var port: UInt16 { server.port }
  /// How many clients have connected.
  var clientCount: Int { server.accepted.all.count }

  /// Loses all that comes for the connections it has now, without a word, as a host that has gone.
  func dropPackets() throws { try server.dropPackets() }

  /// Closes the control connections of all associations so far.
  func endAssociations() {
    for control in controls.all { control.hangUp() }
  }

  /// Takes a client's request in the protocol of that scheme: what it asks for, and what says that this was reached.
  static func accept(_ client: Socket, _ scheme: String) throws -> (destination: String, granted: [UInt8]) {
    switch scheme {
    case "socks5": return (try client.acceptRequest(), SOCKS.failure(0))
    case "http":
      return (String(try client.receiveHead().split(separator: " ")[1]), Array(HTTP.established.utf8))
    default: return (try client.receiveSOCKS4Request().destination, [0, 90, 0, 0, 0, 0, 0, 0])
    }
  }

  /// - Parameter granted: what says that the destination was reached; `nil`: SOCKS5's reply.
  static func tunnel(_ client: Socket, to destination: String, granted: [UInt8]? = nil) throws {
    guard let target = try? Socket(to: destination) else { return try client.send(SOCKS.failure(5)) }
    try client.send(granted ?? [5, 0, 0] + SOCKS.encoded(target.localAddress))
    Thread.detachNewThread {
      while case .bytes(let bytes)? = try? target.receive() { try? client.send(bytes) }
      client.hangUp()
    }
    defer { target.hangUp() }
    client.setTimeouts(0)
    while case .bytes(let bytes) = try client.receive() { try target.send(bytes) }
  }

  /// One socket faces both sides: what does not come from the client is an answer.
  private static func serve(
    _ relay: DatagramSocket, _ script: Script, _ destinations: Recorder<String>, _ clients: Recorder<String>
  )
    throws
  {
    var client: String?
    while true {
      let datagram = try relay.receive()
      guard datagram.source != "nowhere" else { return }
      if client == nil || datagram.source == client {
        guard let (destination, payload) = SOCKS.unwrap(datagram.bytes) else { continue }
        if client == nil { clients.record(datagram.source) }
        client = datagram.source
        destinations.record(destination)
        try? relay.send(payload, to: script.resolve(destination))
      } else if let client {
        for answer in script.deliver(SOCKS.datagram(to: datagram.source, datagram.bytes)) {
          try? relay.send(answer, to: client)
        }
      }
    }
  }
}

extension ScriptedHop.Script {
  /// A name stands in quotation marks.
  fileprivate func resolve(_ destination: String) -> String {
    guard let end = destination.lastIndex(of: "”") else { return destination }
    let name = destination[..<end].dropFirst()
    return (names[String(name)] ?? "nowhere") + destination[destination.index(after: end)...]
  }
}
