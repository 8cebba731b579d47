import Foundation
import Testing

/// Hops that are told everything at once. The row J7 of the protocol's list.
@Suite(.blocking)
struct PipeliningTests: VisitingHops {
  @Test func `what is for all hops leaves in one flight, before any of them has answered (J7)`() throws {
    let all = SOCKS.connect(to: "127.0.0.8:1080")
    let flight =
      [5, 1, 0] + all + [5, 1, 2, 1, 2, 0x75, 0x73, 2, 0x70, 0x77] + SOCKS.connect(to: Self.target)
    let said = Recorder<[UInt8]>()
    let hop = try Server { client in
      said.record(try client.receive(exactly: flight.count))
      try client.send([5, 0] + SOCKS.failure(0) + [5, 2, 1, 0] + Self.success + Array("hi".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(hop.address)", pipeline: yes}
        b: {url: "socks5://us:pw@127.0.0.8:1080", pipeline: yes}
      default: [a, b]

      """)
    try Self.visit(sockeye)
    #expect(said.all == [flight])
  }

  @Test func `a flight ends at a hop that is asked one thing at a time`() throws {
    let said = Recorder<[UInt8]>()
    let hop = try Server { client in
      said.record(try client.receive(exactly: 3 + 10 + 3))
      #expect(!client.hasSomethingToRead(within: 100))
      try client.send([5, 0] + SOCKS.failure(0) + [5, 0])
      said.record(try client.receive(exactly: 10))
      try client.send(Self.success + Array("hi".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(hop.address)", pipeline: yes}
        b: {url: "socks5://127.0.0.8:1080", pipeline: no}
      default: [a, b]

      """)
    try Self.visit(sockeye)
    #expect(said.all.map(\.count) == [16, 10])
  }

  @Test func `real servers of different kinds support it, at any place`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    let dante = try Dante()
    let tiny = try Tinyproxy()
    let exit = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {alice: secret}}\nhosts: {site.test: 127.0.0.1}\ndefault: direct\n"
    )
    let upstreams = """
      upstreams:
        dante: {url: "socks5://\(dante.address)", pipeline: yes}
        exit: {url: "socks5://alice:secret@\(exit.address)", pipeline: yes}
        four: {url: "socks4a://\(dante.address)", pipeline: yes}
        tiny: {url: "http://\(tiny.address)", pipeline: yes}

      """
    for chain in ["exit", "dante, exit", "exit, dante, tiny", "tiny, exit", "dante, tiny, exit"] {
      let sockeye = try Sockeye(upstreams + "default: [\(chain)]\n")
      let answer = try Client.curl("--socks5", sockeye.address, "http://127.0.0.1:\(target.port)/")
      #expect(answer.output == [HTTPTarget.greeting], "\(chain): \(answer)")
      // What is told again, one thing at a time, is not told as pipelined.
      let trace = try Sockeye.run(
        "trace", "table.yaml", "127.0.0.1:\(target.port)", directory: sockeye.directory.path)
      #expect(trace.status == 0, "\(trace)")
      let hops = trace.output.filter { $0.contains(/\b(greet|authenticate)\b/) }
      #expect(
        !hops.isEmpty && hops.allSatisfy { $0.contains(#/(greet|authenticate) \S+ \(pipelined\)/#) },
        "\(trace)")
    }
  }

  @Test func `a trace tells which phases were pipelined`() throws {
    let target = try Server.silent()
    let entry = try Sockeye("default: direct\n")
    let exit = try Sockeye("default: direct\n")
    let directory = try TemporaryDirectory()
    try directory.write(
      """
      upstreams:
        a: {url: "socks5://\(entry.address)", pipeline: yes}
        b: {url: "socks5://\(exit.address)", pipeline: no}
      default: [a, b]

      """, to: "table.yaml")
    let trace = try Sockeye.run("trace", "table.yaml", target.address, directory: directory.path)
    let lines = trace.output.map { $0.replacing(/[\d.]+(ms|s|µs)/, with: "T") }
    #expect(lines.contains("  hop 1  a  connect T  greet T (pipelined)"), "\(trace)")
    #expect(lines.contains("  hop 2  b  connect T (pipelined)  greet T (pipelined)  request T"), "\(trace)")
    #expect(lines.contains("  by a warm tunnel it takes the request alone: T"), "\(trace)")
  }

  @Test func `nothing is sent behind a CONNECT before its 2xx (J7, RFC 9931)`() throws {
    let said = Recorder<String>()
    let hop = try Server { client in
      var head = ""
      while !head.hasSuffix("\r\n\r\n") {
        head += String(decoding: try client.receive(exactly: 1), as: UTF8.self)
      }
      try client.send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
      said.record(head)
      said.record(String(decoding: try client.receiveToEnd().bytes, as: UTF8.self))
    }
    for next in [
      "http://eve:word@127.0.0.8:1080", "socks5://eve:word@127.0.0.8:1080", "socks4a://eve@127.0.0.8:1080",
    ] {
      let before = said.all.count
      let sockeye = try Sockeye(
        """
        upstreams:
          a: {url: "http://\(hop.address)", pipeline: yes}
          b: {url: "\(next)", pipeline: yes}
        default: [a, b]

        """)
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: Self.target).code == 1)
      try said.wait(forCount: before + 2)
      #expect(said.all[before].hasPrefix("CONNECT 127.0.0.8:1080 HTTP/1.1\r\n"))
      #expect(said.all[before + 1].isEmpty, "behind the CONNECT came \(said.all[before + 1])")
    }
  }

  @Test
  func `BIND waits for the answer to the last hop's greeting, which would be lost in Tor's refusal (J7)`()
    throws
  {
    let first = Recorder<Int>()
    let tor = try Server { client in
      guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
      first.record(bytes.count)
      // What Tor says to an unsupported command in the greeting's packet.
      if bytes.count > 4, bytes[4] == 2 { return try client.send(SOCKS.failure(7)) }
      try client.send(5, 0)
      if bytes.count > 3 { return try client.send(Self.success + Array("hi".utf8)) }
      let (command, _) = try client.receiveCommand()
      try client.send(command == 2 ? SOCKS.failure(7) : Self.success + Array("hi".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams: {tor: {url: "socks5://\(tor.address)", pipeline: yes}}
      default: tor

      """)
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.request(SOCKS.request(command: 2, to: "127.0.0.9:80")).code == 7)
    try Self.visit(sockeye)
    #expect(first.all == [3, 13])
  }
}
