import Glibc
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(10))) struct RelayDirectionTests {
  /// A client, the two streams that a relay holds, and a server.
  private struct Tunnel {
    var client: SharedStream?
    var inlet: SharedStream
    var outlet: SharedStream
    var server: SharedStream?

    init(on loop: EventLoop) async throws {
      (client, inlet) = try await sharedConnection(on: loop)
      (outlet, server) = try await sharedConnection(on: loop)
    }

    /// Moves one direction until it ends.
    func run(_ direction: inout RelayDirection) async throws(RelayDirection.Fault) {
      let loop = inlet.stream.loop
      while true {
        try direction.step(from: inlet.stream, to: outlet.stream)
        switch direction.progress {
        case .awaitsSource: _ = await loop.wait(for: inlet.stream.interest(in: .readable), until: .never)
        case .awaitsSink: _ = await loop.wait(for: outlet.stream.interest(in: .writable), until: .never)
        case .more: await Task.yield()
        case .ended: return
        }
      }
    }
  }

  // From a few bytes, which are copied, to many, which are spliced through a pipe smaller than they.
  @Test(arguments: [0, 1, 65_536, 131_072, 131_073, 1 << 20, 8 << 20])
  func `what goes in comes out, whole and in order, and then the end`(count: Int) async throws {
    let sent = pattern(count)
    try await onLoop { loop in
      let tunnel = try await Tunnel(on: loop)
      let (client, server) = (try #require(tunnel.client), try #require(tunnel.server))
      async let received = server.stream.readToEnd()
      async let written: Void = client.stream.writeAndEnd(sent)
      var direction = RelayDirection(early: [1, 2, 3])
      try await tunnel.run(&direction)
      direction.release(on: loop)
      try await written
      let whole = try await received == [1, 2, 3] + sent
      #expect(whole)
      #expect(direction.byteCount == UInt64(3 + count))
    }
  }

  @Test func `a receiver that takes nothing holds the sender up, and loses nothing`() async throws {
    let sent = pattern(16 << 20)
    try await onLoop { loop in
      let tunnel = try await Tunnel(on: loop)
      let (client, server) = (try #require(tunnel.client), try #require(tunnel.server))
      var direction = RelayDirection()
      var written = 0
      // Fill everything on the way, until neither the sender nor the direction gets further.
      while true {
        let before = (written, direction.byteCount)
        while written < sent.count,
          let count = try? client.stream.writeNow(sent.span.bytes.extracting(droppingFirst: written))
        {
          written += count
        }
        try direction.step(from: tunnel.inlet.stream, to: tunnel.outlet.stream)
        if (written, direction.byteCount) == before { break }
      }
      #expect(written < sent.count)
      #expect(direction.progress == .awaitsSink)

      async let received = server.stream.readToEnd()
      async let rest: Void = client.stream.writeAndEnd(Array(sent[written...]))
      try await tunnel.run(&direction)
      try await rest
      let whole = try await received == sent
      #expect(whole)
    }
  }

  // The urgent octet itself is not relayed. A few bytes before it are copied, many spliced.
  @Test(arguments: [3, 256 * 1024])
  func `bytes behind an urgent octet are not left lying`(count: Int) async throws {
    let sent = pattern(count)
    try await onLoop { loop in
      let tunnel = try await Tunnel(on: loop)
      let (client, server) = (try #require(tunnel.client), try #require(tunnel.server))
      try await client.stream.write(sent, until: .never)
      try #require(Glibc.send(client.stream.descriptor.rawValue, [0], 1, Int32(MSG_OOB)) == 1)
      try await client.stream.write([4, 5, 6], until: .never)

      async let received = server.stream.readToEnd()
      var direction = RelayDirection()
      // All has come, and its edge is used up: none follows.
      repeat {
        _ = await loop.wait(for: tunnel.inlet.stream.interest(in: .readable), until: .never)
        repeat {
          try direction.step(from: tunnel.inlet.stream, to: tunnel.outlet.stream)
          await Task.yield()
        } while direction.progress != .awaitsSource
      } while direction.byteCount < count + 3
      _ = try? tunnel.outlet.stream.shutdownWriting()
      let whole = try await received == sent + [4, 5, 6]
      #expect(whole)
    }
  }

  @Test func `a direction that waits holds no pipe that it has emptied`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel(on: loop)
      let (client, server) = (try #require(tunnel.client), try #require(tunnel.server))
      async let received = server.stream.readToEnd()
      async let written: Void = client.stream.writeAndEnd(pattern(8 << 20))
      var direction = RelayDirection()
      var hasUsedPipe = false
      while direction.progress != .ended {
        try direction.step(from: tunnel.inlet.stream, to: tunnel.outlet.stream)
        hasUsedPipe = hasUsedPipe || direction.pipe != nil
        switch direction.progress {
        case .awaitsSource:
          #expect(direction.pipe == nil)
          _ = await loop.wait(for: tunnel.inlet.stream.interest(in: .readable), until: .never)
        case .awaitsSink:
          #expect(direction.pipe == nil || direction.position > 0)
          _ = await loop.wait(for: tunnel.outlet.stream.interest(in: .writable), until: .never)
        case .more: await Task.yield()
        case .ended: break
        }
      }
      #expect(hasUsedPipe)
      try await written
      _ = try await received
    }
  }

  @Test func `a source that was reset is a fault of the source`() async throws {
    try await onLoop { loop in
      var tunnel = try await Tunnel(on: loop)
      tunnel.client?.stream.resetOnClose()
      tunnel.client = nil
      var direction = RelayDirection()
      do throws(RelayDirection.Fault) {
        try await tunnel.run(&direction)
        Issue.record("a reset source ended well")
      } catch {
        #expect(error.isSource)
        #expect(error.error == .connectionReset)
      }
    }
  }

  @Test func `a sink that was reset is a fault of the sink`() async throws {
    try await onLoop { loop in
      var tunnel = try await Tunnel(on: loop)
      tunnel.server?.stream.resetOnClose()
      tunnel.server = nil
      try await tunnel.client?.stream.write([1, 2, 3], until: .never)
      var direction = RelayDirection()
      do throws(RelayDirection.Fault) {
        try await tunnel.run(&direction)
        Issue.record("a reset sink took everything")
      } catch {
        #expect(!error.isSource)
        #expect(error.error == .connectionReset || error.error == .brokenPipe)
      }
    }
  }
}

extension TCPStream {
  fileprivate func writeAndEnd(_ bytes: [UInt8]) async throws(Errno) {
    try await write(bytes, until: .never)
    _ = try? shutdownWriting()
  }
}
