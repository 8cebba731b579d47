import Addresses
import Glibc
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(10))) struct DatagramBatchTests {
  private static let loopbacks: [IPAddress] = [.loopback4, .loopback6]
  private static let sizes = [0, 1, 64, 1_200, 1_473, 4_096, 9_000, 65_000, 65_506, 65_507]

  @Test(arguments: loopbacks)
  func `datagrams of every size come whole, with their source`(address: IPAddress) async throws {
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
      let sender = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
      let sizes = address == .loopback6 ? Self.sizes + [65_527] : Self.sizes
      for size in sizes {
        try sender.send(pattern(size), to: receiver.localAddress)
        try #require(try await receiver.receive() == 1)
        #expect(loop.datagrams.byteCount(of: 0) == size)
        #expect(loop.datagrams.copy(of: 0) == pattern(size))
        #expect(loop.datagrams.source(of: 0) == sender.localAddress)
      }
      #expect(throws: Errno.messageTooLarge) {
        try sender.send(
          pattern(DatagramBatch.largestByteCount(towards: address) + 1), to: receiver.localAddress)
      }
    }
  }

  @Test func `more than one batch is taken in order, and the last says that nothing is left`() async throws {
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: loop)
      let sender = try UDPSocket(.v4, on: loop)
      for number in 0..<70 as Range<UInt8> { try sender.send([number], to: receiver.localAddress) }
      var received: [UInt8] = []
      for expected in [32, 32, 6, 0] {
        let count = try loop.datagrams.receive(from: receiver)
        #expect(count == expected)
        for index in 0..<count { received += loop.datagrams.copy(of: index) }
      }
      #expect(received == Array(0..<70))
    }
  }

  @Test(arguments: loopbacks)
  func `a batch is echoed in place, each datagram to its source`(address: IPAddress) async throws {
    try await onLoop { loop in
      let any = SocketAddress(address, port: 0)
      let relay = try UDPSocket(bindingTo: any, on: loop)
      let clients = try (0..<32).map { _ in SharedSocket(try UDPSocket(bindingTo: any, on: loop)) }
      for (number, client) in clients.enumerated() {
        try client.socket.send([UInt8(number)], to: relay.localAddress)
      }
      let batch = loop.datagrams
      try #require(try batch.receive(from: relay) == 32)
      for index in 0..<32 {
        #expect(batch.prepend([0xaa, 0xbb], to: index, towards: address))
        batch.stage(index, to: batch.source(of: index))
      }
      let result = batch.send(on: relay)
      #expect(result.sent == 32)
      #expect(result.failures.isEmpty)
      for (number, client) in clients.enumerated() {
        try #require(try await client.socket.receive() == 1)
        #expect(batch.copy(of: 0) == [0xaa, 0xbb, UInt8(number)])
      }
    }
  }

  @Test func `headers are put before each other and taken off, and the rest stays where it was`() async throws
  {
    try await onLoop { loop in
      let batch = try await loop.receiveOne([1, 2, 3])
      #expect(batch.prepend([4, 5], to: 0, towards: .loopback4))
      let written = batch.prepend(count: 3, to: 0, towards: .loopback4) { output in
        for octet in 6...8 as ClosedRange<UInt8> { output.append(octet) }
      }
      #expect(written)
      #expect(batch.copy(of: 0) == [6, 7, 8, 4, 5, 1, 2, 3])
      batch.dropFirst(4, of: 0)
      #expect(batch.withBytes(of: 0) { $0.count } == 4)
      #expect(batch.withBytes(of: 0) { $0[0] } == 5)
      batch.dropFirst(4, of: 0)
      #expect(batch.byteCount(of: 0) == 0)
    }
  }

  @Test(arguments: [
    (size: 65_497, address: IPAddress.loopback4, header: 10, fits: true),
    (size: 65_498, address: .loopback4, header: 10, fits: false),
    (size: 65_505, address: .loopback6, header: 22, fits: true),
    (size: 65_506, address: .loopback6, header: 22, fits: false),
    (size: 65_507, address: .loopback4, header: 0, fits: true),
    (size: 0, address: .loopback4, header: 31 * 260, fits: true),
    (size: 0, address: .loopback4, header: 12_416, fits: true),
    (size: 0, address: .loopback4, header: 12_417, fits: false),
  ])
  func `a header that does not fit is refused, and nothing is changed`(
    size: Int, address: IPAddress, header: Int, fits: Bool
  ) async throws {
    try await onLoop { loop in
      let batch = try await loop.receiveOne(pattern(size))
      let octets = [UInt8](repeating: 0xee, count: header)
      #expect(batch.prepend(octets, to: 0, towards: address) == fits)
      #expect(batch.copy(of: 0) == (fits ? octets : []) + pattern(size))
    }
  }

  @Test(arguments: loopbacks)
  func `the largest datagram that may be built can be sent`(address: IPAddress) async throws {
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
      let batch = try await loop.receiveOne(pattern(65_000))
      let header = [UInt8](repeating: 7, count: DatagramBatch.largestByteCount(towards: address) - 65_000)
      #expect(batch.prepend(header, to: 0, towards: address))
      batch.stage(0, to: receiver.localAddress)
      #expect(batch.send(on: try UDPSocket(address.family, on: loop)).sent == 1)
      try #require(try await receiver.receive() == 1)
      #expect(batch.copy(of: 0) == header + pattern(65_000))
    }
  }

  @Test func `a datagram that cannot be sent is left out and named, and the others follow`() async throws {
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: loop)
      let target = try receiver.boundAddress()
      let batch = try await loop.receive([[0], [1], [2], [3], pattern(65_507)])
      batch.stage(0, to: target)
      batch.stage(2, to: SocketAddress(.loopback4, port: 0))
      batch.stage(1, to: target)
      batch.stage(3, to: SocketAddress(.loopback6, port: 9))
      batch.stage(4, to: target)
      let result = batch.send(on: try UDPSocket(.v4, on: loop))
      #expect(result.sent == 3)
      #expect(result.failures.map(\.index) == [2, 3])
      #expect(result.failures.map(\.error) == [Errno(rawValue: EINVAL), .addressFamilyNotSupported])
      #expect(try await receiver.receive() == 3)
      #expect((0..<2).map { batch.copy(of: $0) } == [[0], [1]])
    }
  }

  @Test(arguments: loopbacks)
  func `datagrams to one destination keep their bounds, whatever their sizes`(address: IPAddress) async throws
  {
    let sizes = [
      [64, 64, 64, 64], [64, 64, 10, 64, 64], [64, 64, 65, 64], [0, 0, 0], [64, 0, 64], [1452, 1452, 1452],
      [1453, 1453, 1], [9000, 9000, 9000], [1200] + Array(repeating: 1200, count: 31), [65_507, 1, 65_507],
    ]
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
      let sender = try UDPSocket(address.family, on: loop)
      for sizes in sizes {
        let datagrams = sizes.enumerated().map { index, size in
          [UInt8](repeating: UInt8(index + 1), count: size)
        }
        let batch = try await loop.receive(datagrams)
        for index in datagrams.indices { batch.stage(index, to: receiver.localAddress) }
        let result = batch.send(on: sender)
        #expect(result.sent == datagrams.count)
        #expect(try await receiver.receive() == datagrams.count)
        #expect(datagrams.indices.map { batch.copy(of: $0) } == datagrams)
      }
    }
  }

  @Test func `where the kernel cannot cut a message up, its datagrams are sent one by one`() async throws {
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: loop)
      let sender = try UDPSocket(.v4, on: loop)
      var yes: Int32 = 1
      // It cuts up nothing that is to have no checksum.
      setsockopt(
        sender.descriptor.rawValue, SOL_SOCKET, SO_NO_CHECK, &yes, socklen_t(MemoryLayout<Int32>.size))
      let batch = try await loop.receive([[1], [2], [3], [4, 5], [6, 7]])
      for index in 0..<5 { batch.stage(index, to: receiver.localAddress) }
      let result = batch.send(on: sender)
      #expect(result.sent == 5)
      #expect(result.failures.isEmpty)
      #expect(try await receiver.receive() == 5)
      #expect((0..<5).map { batch.copy(of: $0) } == [[1], [2], [3], [4, 5], [6, 7]])
    }
  }

  @Test func `runs to different destinations stay apart`() async throws {
    try await onLoop { loop in
      let any = SocketAddress(.loopback4, port: 0)
      let receivers = try (0..<3).map { _ in SharedSocket(try UDPSocket(bindingTo: any, on: loop)) }
      let batch = try await loop.receive((0..<30).map { [$0, $0] })
      for index in 0..<30 { batch.stage(index, to: receivers[index / 5 % 3].socket.localAddress) }
      #expect(batch.send(on: try UDPSocket(.v4, on: loop)).sent == 30)
      for (number, receiver) in receivers.enumerated() {
        #expect(try await receiver.socket.receive() == 10)
        let expected = (0..<30).filter { $0 / 5 % 3 == number }.map { [UInt8($0), UInt8($0)] }
        #expect((0..<10).map { batch.copy(of: $0) } == expected)
      }
    }
  }

  @Test func `a run that cannot be sent names each of its datagrams`() async throws {
    try await onLoop { loop in
      let batch = try await loop.receive([[1], [2], [3]])
      for index in 0..<3 { batch.stage(index, to: SocketAddress(.loopback4, port: 0)) }
      let result = batch.send(on: try UDPSocket(.v4, on: loop))
      #expect(result.sent == 0)
      #expect(result.failures.map(\.index) == [0, 1, 2])
    }
  }

  @Test(arguments: [[[1], [2]], [[1], [2, 3]]] as [[[UInt8]]])
  func `an error left on a connected socket costs no datagram`(datagrams: [[UInt8]]) async throws {
    try await onLoop { loop in
      let socket = try UDPSocket(.v4, on: loop)
      let closed = try freePort(of: .loopback4, on: loop)
      try socket.connect(to: closed)
      try socket.send([1], to: nil)
      let listener = try UDPSocket(bindingTo: closed, on: loop)
      let batch = try await loop.receive(datagrams)
      batch.stage(0, to: nil)
      batch.stage(1, to: nil)
      #expect(batch.send(on: socket).sent == 2)
      #expect(try await listener.receive() == 2)
    }
  }

  @Test func `what was sent or received again is staged no more`() async throws {
    try await onLoop { loop in
      let receiver = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: loop)
      let sender = try UDPSocket(.v4, on: loop)
      let batch = try await loop.receiveOne([1])
      batch.stage(0, to: receiver.localAddress)
      #expect(batch.send(on: sender).sent == 1)
      #expect(batch.send(on: sender).sent == 0)
      batch.stage(0, to: receiver.localAddress)
      #expect(try await receiver.receive() == 1)
      #expect(batch.send(on: sender).sent == 0)
    }
  }

  @Test func `datagrams before an ICMP error are received, those behind it too`() async throws {
    try await onLoop { loop in
      let socket = try UDPSocket(.v4, on: loop)
      let peerAddress = try freePort(of: .loopback4, on: loop)
      try socket.connect(to: peerAddress)
      func say(_ octet: UInt8) throws {
        try UDPSocket(bindingTo: peerAddress, on: loop).send([octet], to: socket.localAddress)
      }
      try say(1)
      try socket.send([0], to: nil)
      try say(2)
      var received: [UInt8] = []
      var errors: [Errno] = []
      while received.count < 2 {
        do throws(Errno) {
          for index in 0..<(try await socket.receive()) { received += loop.datagrams.copy(of: index) }
        } catch {
          errors.append(error)
        }
      }
      #expect(received == [1, 2])
      #expect(errors == [.connectionRefused])
    }
  }

  @Test func `memory of datagrams never received is not resident`() async throws {
    try await onLoop { loop in
      let batch = try await loop.receiveOne([1])
      #expect(try residentPages(from: batch.bytes(of: 0), to: batch.bytes(of: 31)) == 1)
    }
  }

  private func residentPages(
    from first: UnsafeBufferPointer<UInt8>, to last: UnsafeBufferPointer<UInt8>
  ) throws -> Int {
    let (start, end) = (Int(bitPattern: first.baseAddress) & ~4095, Int(bitPattern: last.baseAddress))
    var pages = [UInt8](repeating: 0, count: (end - start) / 4096 + 1)
    try #require(mincore(UnsafeMutableRawPointer(bitPattern: start), end - start, &pages) == 0)
    return pages.count { $0 & 1 == 1 }
  }
}
