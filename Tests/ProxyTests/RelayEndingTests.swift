import Glibc
import Testing

@testable import Proxy
@testable import Transport

/// How a tunnel ends, for a client that is slower than its destination.
@Suite(.timeLimit(.minutes(10))) struct RelayEndingTests {
  /// A client whose kernel holds little, the relay, whose socket towards it holds all, and a destination.
  private final class Tunnel: @unchecked Sendable {
    let client: SharedStream
    private(set) var target: SharedStream?
    private var relay: TCPRelay?
    /// Bytes that went down, when it is over.
    private(set) var down: UInt64 = 0

    private init(_ client: SharedStream, _ relay: TCPRelay, _ target: SharedStream) {
      self.client = client
      self.relay = relay
      self.target = target
    }

    static func make(
      on loop: EventLoop, idle: Duration = patience, halfClosed: Duration = patience,
      silentSince: Deadline? = nil
    ) async throws -> Tunnel {
      let (outlet, target) = try await withConnection(on: loop) { outlet, target in
        (StreamBox(outlet), try SharedStream(target))
      }
      return try await withConnection(on: loop) { client, inlet in
        client.holdLittle()
        inlet.holdMuch()
        let relay = TCPRelay(
          client: inlet, upstream: outlet.take(), fromClient: [], fromUpstream: [], idle: idle,
          halfClosed: halfClosed)
        if let silentSince { relay.silentSince = silentSince }
        return Tunnel(try SharedStream(client), relay, target)
      }
    }

    /// Relays until it is over; both of the relay's ends are closed then.
    func run() async -> TCPRelay.Ending? {
      guard let relay = relay.take() else { return nil }
      await relay.run()
      down = relay.down.byteCount
      return relay.ending
    }

    func resetTarget() {
      target?.outgoing.resetOnClose()
      target = nil
    }
  }

  private let sent = pattern(60_000)

  @Test func `what a target sent before it reset is delivered before the reset`() async throws {
    try await onLoop { [sent] loop in
      let tunnel = try await Tunnel.make(on: loop)
      try await tunnel.target?.write(sent)
      tunnel.resetTarget()
      async let ending = tunnel.run()
      let rest = try await tunnel.client.rest()
      #expect(rest.bytes == sent && rest.isReset, "\(rest.bytes.count)")
      #expect(await ending == .reset)
      #expect(tunnel.down == UInt64(sent.count))
    }
  }

  // It has been told everything: the kernel delivers what it does not hold yet.
  @Test func `a client that pauses when the target has ended is closed, not reset`() async throws {
    try await onLoop { [sent] loop in
      let tunnel = try await Tunnel.make(on: loop, halfClosed: .milliseconds(50))
      try await tunnel.target?.writeAndEnd(sent)
      #expect(await tunnel.run() == .idle)
      let rest = try await tunnel.client.rest()
      #expect(rest.bytes == sent && !rest.isReset, "\(rest.bytes.count)")
      #expect(tunnel.down == UInt64(sent.count))
    }
  }

  @Test func `a tunnel that is idle is cut when the client has what came for it`() async throws {
    try await onLoop { [sent] loop in
      let tunnel = try await Tunnel.make(on: loop, idle: .zero)
      try await tunnel.target?.write(sent)
      async let ending = tunnel.run()
      let rest = try await tunnel.client.rest()
      #expect(rest.bytes == sent && rest.isReset, "\(rest.bytes.count)")
      #expect(await ending == .idle)
      #expect(tunnel.down == UInt64(sent.count))
    }
  }

  @Test func `what a reset destroys is not counted as delivered`() async throws {
    try await onLoop { [sent] loop in
      let tunnel = try await Tunnel.make(on: loop, idle: .zero, halfClosed: .zero)
      try await tunnel.target?.write(sent)
      #expect(await tunnel.run() == .idle)
      let rest = try await tunnel.client.rest()
      #expect(rest.isReset && rest.bytes.count < sent.count)
      #expect(tunnel.down > 0 && tunnel.down <= rest.bytes.count, "\(tunnel.down) of \(rest.bytes.count)")
    }
  }

  // A turn after a turn, it has no time to wait.
  @Test func `a tunnel that moved bytes a moment ago is not idle, however long it was busy`() async throws {
    try await onLoop { [sent] loop in
      // Nothing has moved since this machine was started, until the relay takes its turn.
      let tunnel = try await Tunnel.make(
        on: loop, idle: .seconds(60), silentSince: Deadline(nanoseconds: 0))
      try await tunnel.target?.write(sent)
      async let ending = tunnel.run()
      let first = try await tunnel.client.take(atLeast: sent.count)
      #expect(first == sent)
      try await tunnel.target?.writeAndEnd([1])
      try await tunnel.client.writeAndEnd([])
      #expect(try await tunnel.client.rest().bytes == [1])
      #expect(await ending == .finished)
    }
  }
}
