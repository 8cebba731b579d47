import Addresses
import Glibc
import Testing

@testable import Transport

private let anyPort = SocketAddress(.loopback4, port: 0)

@Suite(.timeLimit(.minutes(10))) struct TCPListenerTests {
  @Test func `two loops listen on one port, and both get connections`() async throws {
    let loops = try (0..<2).map { _ in try EventLoop() }
    defer { for loop in loops { loop.stop() } }
    let (addresses, listening) = AsyncStream<SocketAddress>.makeStream()
    let (servers, accepted) = AsyncStream<Int>.makeStream()
    try await withThrowingTaskGroup(of: Void.self) { group in
      var address = anyPort
      for (index, loop) in loops.enumerated() {
        group.addTask(executorPreference: loop) { [address] in
          let listener = try TCPListener(on: address, joins: index > 0, loop: loop)
          listening.yield(try #require(listener.localAddress))
          while !Task.isCancelled {
            while let connection = try listener.accept() {
              connection.close()
              accepted.yield(index)
            }
            _ = await loop.wait(for: listener.interest, until: .never)
          }
        }
        address = try #require(await addresses.first { _ in true })
      }
      // The kernel chooses by the client's port: all of 64 connections go one way once in 2⁶³ runs.
      group.addTask { [address] in
        try await onLoop { loop in
          for _ in 0..<64 { _ = try await TCPStream.connect(to: address, on: loop, until: .never) }
        }
      }
      var missing: Set = [0, 1]
      for await index in servers {
        missing.remove(index)
        if missing.isEmpty { break }
      }
      group.cancelAll()
      try? await group.waitForAll()
    }
  }

  @Test(arguments: [IPAddress.loopback4, .loopback6])
  func `both ends know the client's address and the real port`(address: IPAddress) async throws {
    try await onLoop { loop in
      let listener = try TCPListener(on: SocketAddress(address, port: 0), loop: loop)
      let local = try #require(listener.localAddress)
      #expect(local.address == address)
      #expect(local.port != 0)
      let client = try await TCPStream.connect(to: local, on: loop, until: .never)
      let connection = try await listener.next(on: loop)
      #expect(connection.peer == client.localAddress)
      connection.close()
    }
  }

  @Test func `a listener without connections has none`() async throws {
    try await onLoop { loop in
      let listener = try TCPListener(on: anyPort, loop: loop)
      #expect(try listener.accept() == nil)
    }
  }

  @Test func `an address of another host cannot be listened on`() async throws {
    try await onLoop { loop -> Void in
      #expect(throws: Errno.addressNotAvailable) {
        _ = try TCPListener(on: SocketAddress(.v4(0xc000_0201), port: 0), loop: loop)
      }
    }
  }

  @Test func `a listener for one client takes each port of its range once, and shares none`() async throws {
    try await onLoop { loop in
      let ports: ClosedRange<UInt16> = 23_821...23_823
      let listeners = try ports.map { _ in try TCPListener(bindingTo: anyPort, ports: ports, on: loop) }
      #expect(Set(listeners.compactMap(\.localAddress?.port)) == Set(ports))
      #expect(throws: Errno.addressInUse) {
        _ = try TCPListener(bindingTo: anyPort, ports: ports, on: loop)
      }
      for listener in listeners {
        let address = try #require(listener.localAddress)
        for joins in [false, true] {
          #expect(throws: Errno.addressInUse) { _ = try TCPListener(on: address, joins: joins, loop: loop) }
        }
        let client = try await TCPStream.connect(to: address, on: loop, until: .never)
        let server = try TCPStream(try await listener.next(on: loop), on: loop)
        #expect(client.peerAddress == address)
        #expect(server.peerAddress == client.localAddress)
      }
    }
  }

  @Test func `a living socket file is not replaced, and goes with its listener`() async throws {
    try await onLoop { loop in
      let path = "/tmp/sockeye-\(getpid())-\(UInt64.random(in: 0 ... .max)).socket"
      defer { unlink(path) }
      do {
        let living = try TCPListener(unixPath: path, loop: loop)
        #expect(living.localAddress == nil)
        #expect(throws: Errno.addressInUse) { _ = try TCPListener(unixPath: path, loop: loop) }
        #expect(try living.accept() != nil)
      }
      #expect(access(path, F_OK) != 0)
      let second = try TCPListener(unixPath: path, loop: loop)
      let client = try connectUnix(path)
      let connection = try await second.next(on: loop)
      #expect(connection.peer == nil)
      connection.close()
      close(client)
    }
  }

  @Test func `a file that is no socket is not replaced`() async throws {
    try await onLoop { loop in
      let path = "/tmp/sockeye-\(getpid())-\(UInt64.random(in: 0 ... .max)).file"
      close(open(path, O_CREAT | O_WRONLY, 0o600))
      defer { unlink(path) }
      #expect(throws: Errno.addressInUse) { _ = try TCPListener(unixPath: path, loop: loop) }
      #expect(access(path, F_OK) == 0)
    }
  }

  @Test func `a path too long for a socket is refused`() async throws {
    try await onLoop { loop -> Void in
      #expect(throws: Errno(rawValue: ENAMETOOLONG)) {
        _ = try TCPListener(unixPath: "/tmp/" + String(repeating: "a", count: 200), loop: loop)
      }
    }
  }

  private func connectUnix(_ path: String) throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(client, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(result == 0)
    return client
  }
}
