import Addresses
import Glibc
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(10))) struct TCPStreamTests {
  @Test func `where nobody listens, a connection is refused`() async throws {
    try await onLoop { loop in
      let address = try freeAddress(on: loop)
      await #expect(throws: Errno.connectionRefused) {
        _ = try await TCPStream.connect(to: address, on: loop, until: .never)
      }
    }
  }

  @Test func `a connection that nobody answers times out`() async throws {
    try await onLoop { loop in
      let (listener, address) = try deafListener()
      defer { close(listener) }
      let filling = try (0..<8).map { _ in try SharedStream(TCPStream.beginConnecting(to: address, on: loop))
      }
      await #expect(throws: Errno.timedOut) {
        _ = try await TCPStream.connect(to: address, on: loop, until: .after(.milliseconds(20)))
      }
      withExtendedLifetime(filling) {}
    }
  }

  @Test func `connecting can be cancelled`() async throws {
    try await onLoop { loop in
      let (listener, address) = try deafListener()
      defer { close(listener) }
      let filling = try (0..<8).map { _ in try SharedStream(TCPStream.beginConnecting(to: address, on: loop))
      }
      await withTaskGroup { group in
        group.addTask {
          await #expect(throws: Errno.cancelled) {
            _ = try await TCPStream.connect(to: address, on: loop, until: .never)
          }
        }
        group.cancelAll()
      }
      withExtendedLifetime(filling) {}
    }
  }

  @Test func `a read takes no more than its limit, and leaves the rest`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        try await client.write([1, 2, 3, 4, 5], until: .never)
        _ = try? client.shutdownWriting()
        var input: [UInt8] = []
        #expect(try await server.read(into: &input, atMost: 2, until: .never))
        #expect(input == [1, 2])
        #expect(try await server.read(into: &input, until: .never))
        #expect(input == [1, 2, 3, 4, 5])
        let more = try await server.read(into: &input, until: .never)
        #expect(!more)
      }
    }
  }

  @Test func `a read that nobody answers times out, and the stream lives on`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        var input: [UInt8] = []
        do throws(Errno) {
          _ = try await server.read(into: &input, until: .after(.milliseconds(1)))
          Issue.record("nothing was sent")
        } catch {
          #expect(error == .timedOut)
        }
        try await client.write([7], until: .never)
        #expect(try await server.read(into: &input, until: .never))
        #expect(input == [7])
      }
    }
  }

  @Test func `one direction ends, the other goes on`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        try await client.write([1], until: .never)
        _ = try? client.shutdownWriting()
        #expect(try await server.readToEnd() == [1])
        for byte in 2...4 as ClosedRange<UInt8> { try await server.write([byte], until: .never) }
        _ = try? server.shutdownWriting()
        #expect(try await client.readToEnd() == [2, 3, 4])
      }
    }
  }

  @Test(arguments: [false, true])
  func `that the peer left is learnt before what it sent is read`(isReset: Bool) async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        try await client.write([1], until: .never)
        #expect(await loop.wait(for: server.interest(in: .readable), until: .never) == .ready(0))
        #expect(await loop.wait(for: server.interest(in: .ended), until: .now) == .timedOut)
        if isReset { client.resetOnClose() }
        _ = consume client
        for _ in 0..<2 {
          #expect(await loop.wait(for: server.interest(in: .ended), until: .never) == .ready(0))
        }
        if !isReset { #expect(try await server.readToEnd() == [1]) }
      }
    }
  }

  @Test func `a reset is an error, not an end`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        client.resetOnClose()
        _ = consume client
        do throws(Errno) {
          _ = try await server.readToEnd()
          Issue.record("a reset stream ended well")
        } catch {
          #expect(error == .connectionReset)
        }
      }
    }
  }

  @Test func `a receiver that ended is an error to write to, and raises no signal`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        client.resetOnClose()
        _ = consume client
        do throws(Errno) {
          while true { try await server.write([1], until: .never) }
        } catch {
          #expect(error == .connectionReset || error == .brokenPipe)
        }
      }
    }
  }

  @Test func `more than the kernel holds waits for the receiver, and arrives whole`() async throws {
    let sent = pattern(16 << 20)
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        let (writer, reader) = (SharedStream(client), SharedStream(server))
        async let received = reader.stream.readToEnd()
        try await writer.stream.write(sent, until: .never)
        _ = try? writer.stream.shutdownWriting()
        #expect(try await received == sent)
      }
    }
  }

  @Test func `a receiver that takes nothing lets a write time out`() async throws {
    try await onLoop { loop in
      try await withConnection(on: loop) { client, server in
        do throws(Errno) {
          try await client.write([UInt8](repeating: 0, count: 64 << 20), until: .after(.milliseconds(20)))
          Issue.record("nobody read it")
        } catch {
          #expect(error == .timedOut)
        }
        _ = server.localAddress
      }
    }
  }
}
