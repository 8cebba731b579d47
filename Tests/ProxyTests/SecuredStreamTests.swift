import Addresses
import Glibc
import TLS
import TLSPeer
import Testing

@testable import Proxy
@testable import Transport

/// A stream with TLS: how it waits, how it ends, and how it is secured.
@Suite(.timeLimit(.minutes(10))) struct SecuredStreamTests {
  /// A secured stream, and the far end of it; small, so that it is soon full.
  private func secured(
    on loop: EventLoop,
    _ body: (_ stream: consuming TCPStream, _ server: TLSServer, _ far: SharedStream) async throws -> Void
  ) async throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    // The tickets of a server hold its client's certificate, and so need more than one small record.
    let own = Certificate(for: "DNS:client.test")
    let identity = TLSContext.Identity(certificates: own.pem, key: own.keyPEM)
    let context = try TLSContext(
      TLSContext.Demands(trust: .authorities(certificate.pem), identity: identity))
    try await withConnection(on: loop, isSmall: true) { near, far in
      let box = StreamBox(near)
      let far = try SharedStream(far)
      let server = TLSServer(certificate, demanding: own, largestRecord: 512)
      let peer = SecuredPeer(far, server)
      async let established: Void = peer.establish()
      try await box.secure(with: context, to: "proxy.test")
      try await established
      try await body(box.take(), server, far)
    }
  }

  @Test func `the end waits for room, and is told then`() async throws {
    try await onLoop { loop in
      try await secured(on: loop) { upstream, _, far in
        try await withConnection(on: loop) { client, inlet in
          _ = try? client.shutdownWriting()
          try await inlet.wait(for: .readable, until: .after(patience))
          while Glibc.send(upstream.descriptor.rawValue, [0], 1, Int32(MSG_DONTWAIT)) == 1 {}
          var direction = RelayDirection()
          // Also as the last of the two.
          try direction.step(from: inlet, to: upstream, isLast: true)
          #expect(direction.progress == .awaitsSink)
          var filling: [UInt8] = []
          while direction.progress == .awaitsSink {
            _ = try await far.incoming.read(into: &filling, atMost: 65_536, until: .after(patience))
            try direction.step(from: inlet, to: upstream, isLast: true)
          }
          #expect(direction.progress == .ended)
        }
      }
    }
  }

  @Test func `who waits to write waits for bytes where that is what it takes`() async throws {
    try await onLoop { loop in
      try await secured(on: loop) { stream, server, far in
        #expect(throws: Errno.wouldBlock) { try stream.discard() }
        // A message of the handshake that has come in part.
        server.sendTicket()
        let ticket = server.give()
        try #require(ticket.count > 600)
        try await far.write(Array(ticket.prefix(600)))
        try await stream.wait(for: .readable, until: .after(patience))
        #expect(throws: Errno.wouldBlock) { try stream.discard() }
        #expect(throws: Errno.wouldBlock) { try stream.writeNow([UInt8(1)].span.bytes) }
        #expect(stream.interest(in: .writable).readiness == .readable)
        async let rest: Void = far.write(Array(ticket.dropFirst(600)))
        try await stream.write([1], until: .after(patience))
        try await rest
        #expect(stream.interest(in: .writable).readiness == .writable)
      }
    }
  }

  @Test func `a stream that is cut is read as reset`() async throws {
    try await onLoop { loop in
      try await secured(on: loop) { stream, _, far in
        _ = try? far.outgoing.shutdownWriting()
        var input: [UInt8] = []
        await #expect(throws: Errno.connectionReset) {
          _ = try await stream.read(into: &input, until: .after(patience))
        }
        #expect(stream.sessionFailure == .truncated)
      }
    }
  }

  @Test func `TLS inside of TLS carries everything, and is told its end`() async throws {
    try await onLoop { loop in
      let (first, second) = (Certificate(for: "DNS:first.test"), Certificate(for: "DNS:second.test"))
      let contexts = try [first, second].map {
        try TLSContext(TLSContext.Demands(trust: .authorities($0.pem)))
      }
      try await withConnection(on: loop, isSmall: true) { near, far in
        let box = StreamBox(near)
        let outer = SecuredPeer(try SharedStream(far), TLSServer(first))
        async let established: Void = outer.establish()
        try await box.secure(with: contexts[0], to: "first.test")
        try await established
        let sent = pattern(100_000)
        let inner = NestedPeer(TLSServer(second), through: outer)
        async let served = inner.echo()
        try await box.secure(with: contexts[1], to: "second.test")
        let stream = box.take()
        try await stream.write(sent, until: .after(patience))
        while try !stream.shutdownWriting() { try await stream.wait(for: .writable, until: .after(patience)) }
        var answer: [UInt8] = []
        while try await stream.read(into: &answer, atMost: 65_536, until: .after(patience)) {}
        let answered = answer == sent
        #expect(answered)
        let whole = try await served == sent
        #expect(whole)
        _ = try await outer.takeAll()
        #expect(outer.server.hasEnded)
      }
    }
  }

  @Test func `who does not answer is not waited for longer than the deadline`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { near, far in
        var near = near
        let context = try TLSContext()
        do throws(TCPStream.SecuringError) {
          try await near.secure(with: context, to: .address(.loopback4), until: .after(.milliseconds(50)))
          Issue.record("secured by nobody")
        } catch {
          #expect(error == .system(.timedOut))
        }
        _ = consume far
      }
    }
  }
}

/// A peer behind one that passes on what it gets, as a proxy does; `@unchecked` holds because one task uses it.
private final class NestedPeer: @unchecked Sendable {
  private let server: TLSServer
  private let outer: SecuredPeer

  init(_ server: TLSServer, through outer: SecuredPeer) {
    self.server = server
    self.outer = outer
  }

  /// Takes everything up to the client's end, and gives it back.
  func echo() async throws -> [UInt8] {
    var received: [UInt8] = []
    var passed = 0
    while !server.hasEnded {
      try await outer.take()
      server.take(outer.received[passed...])
      passed = outer.received.count
      if server.isEstablished { received += server.read() }
      try await outer.write(server.give())
    }
    server.write(received)
    server.end()
    try await outer.write(server.give())
    return received
  }
}
