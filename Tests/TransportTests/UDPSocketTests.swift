import Addresses
import Glibc
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(10))) struct UDPSocketTests {
  private static let loopbacks: [IPAddress] = [.loopback4, .loopback6]

  @Test(arguments: loopbacks)
  func `a bound socket has its address and a real port, which nobody else gets`(address: IPAddress)
    async throws
  {
    try await onLoop { loop in
      let socket = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
      let local = try socket.boundAddress()
      #expect(local.address == address)
      #expect(local.port != 0)
      #expect(throws: Errno.addressInUse) { _ = try UDPSocket(bindingTo: local, on: loop) }
    }
  }

  @Test func `an address of another host cannot be bound`() async throws {
    try await onLoop { loop -> Void in
      #expect(throws: Errno.addressNotAvailable) {
        _ = try UDPSocket(bindingTo: SocketAddress(.v4(0xc000_0201), port: 0), on: loop)
      }
    }
  }

  @Test func `each port of a range is given once, and then none`() async throws {
    try await onLoop { loop in
      let ports: ClosedRange<UInt16> = 23_811...23_814
      let address = SocketAddress(.loopback4, port: 0)
      var taken: Set<UInt16> = []
      var sockets: [SharedSocket] = []
      for _ in ports {
        let socket = try UDPSocket(bindingTo: address, ports: ports, on: loop)
        taken.insert(try socket.boundAddress().port)
        sockets.append(SharedSocket(socket))
      }
      #expect(taken == Set(ports))
      #expect(throws: Errno.addressInUse) {
        _ = try UDPSocket(bindingTo: address, ports: ports, on: loop)
      }
      sockets.removeLast()
      _ = try UDPSocket(bindingTo: address, ports: ports, on: loop)
    }
  }

  @Test func `which port of a range is given cannot be foreseen`() async throws {
    try await onLoop { loop in
      var given: Set<UInt16> = []
      for _ in 0..<8 {
        let address = SocketAddress(.loopback4, port: 0)
        let socket = try UDPSocket(bindingTo: address, ports: 12_000...20_000, on: loop)
        given.insert(try socket.boundAddress().port)
      }
      // All alike once in 8,001⁷ runs.
      #expect(given.count > 1)
    }
  }

  @Test(arguments: Family.allCases)
  func `an unbound socket has no port before it sends`(family: Family) async throws {
    try await onLoop { loop in
      let socket = try UDPSocket(family, on: loop)
      #expect(socket.localAddress?.address.isUnspecified == true)
      #expect(socket.localAddress?.port == 0)
      try socket.send([1], to: SocketAddress(family == .v4 ? .loopback4 : .loopback6, port: 9))
      #expect(socket.localAddress?.port != 0)
    }
  }

  @Test func `a socket of one family does not send to the other`() async throws {
    try await onLoop { loop -> Void in
      let v4 = try UDPSocket(.v4, on: loop)
      let v6 = try UDPSocket(.v6, on: loop)
      #expect(throws: Errno.self) { try v4.send([1], to: SocketAddress(.loopback6, port: 9)) }
      let mapped = SocketAddress(IPAddress.v6(0xffff_7f00_0001), port: 9)
      #expect(throws: Errno.networkUnreachable) { try v6.send([1], to: mapped) }
    }
  }

  @Test(arguments: loopbacks)
  func `a connected socket hears that nobody listens, and sends on`(address: IPAddress) async throws {
    try await onLoop { loop in
      let socket = try UDPSocket(address.family, on: loop)
      let closed = try freePort(of: address, on: loop)
      try socket.connect(to: closed)
      for _ in 0..<3 {
        try socket.send([1], to: nil)
        await #expect(throws: Errno.connectionRefused) { _ = try await socket.receive() }
        #expect(try loop.datagrams.receive(from: socket) == 0)
      }
      // The error that a first datagram left does not stop a second.
      try socket.send([1], to: nil)
      try socket.send([2], to: nil)
    }
  }

  @Test func `a refusal ends one wait, and not those behind it`() async throws {
    try await onLoop { loop in
      let socket = try UDPSocket(.v4, on: loop)
      try socket.connect(to: try freePort(of: .loopback4, on: loop))
      let interests = [socket.interest(in: .readable)]
      for _ in 0..<3 {
        try socket.send([1], to: nil)
        #expect(await loop.wait(for: interests, until: .never) == .ready(0))
        #expect(throws: Errno.connectionRefused) { _ = try loop.datagrams.receive(from: socket) }
      }
      let wakeup = await loop.wait(for: interests, until: .after(.milliseconds(10)))
      #expect(wakeup == .timedOut)
    }
  }

  @Test(arguments: loopbacks)
  func `a socket that is not connected hears nothing of it`(address: IPAddress) async throws {
    try await onLoop { loop in
      let sender = try UDPSocket(address.family, on: loop)
      let closed = try freePort(of: address, on: loop)
      let receiver = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
      try sender.send([1], to: closed)
      try sender.send([2], to: receiver.localAddress)
      #expect(try await receiver.receive() == 1)
      #expect(try loop.datagrams.receive(from: sender) == 0)
    }
  }

  @Test(arguments: [(Family.v4, IPPROTO_IP, IP_MTU_DISCOVER), (.v6, IPPROTO_IPV6, IPV6_MTU_DISCOVER)])
  func `no datagram forbids to be fragmented`(family: Family, level: Int, option: Int32) async throws {
    try await onLoop { loop in
      let socket = try UDPSocket(family, on: loop)
      var value: Int32 = -1
      var length = socklen_t(MemoryLayout<Int32>.size)
      #expect(getsockopt(socket.descriptor.rawValue, Int32(level), option, &value, &length) == 0)
      #expect(value == IP_PMTUDISC_DONT)
    }
  }

  @Test func `a connected socket hears only its peer`() async throws {
    try await onLoop { loop in
      let any = SocketAddress(.loopback4, port: 0)
      let peer = try UDPSocket(bindingTo: any, on: loop)
      let stranger = try UDPSocket(.v4, on: loop)
      let socket = try UDPSocket(bindingTo: any, on: loop)
      try socket.connect(to: try peer.boundAddress())
      try stranger.send([1], to: socket.localAddress)
      try peer.send([2], to: socket.localAddress)
      #expect(try await socket.receive() == 1)
      #expect(loop.datagrams.copy(of: 0) == [2])
    }
  }

  @Test(arguments: loopbacks)
  func `towards its own host, a host sends from the loopback address`(address: IPAddress) throws {
    #expect(try UDPSocket.localAddress(towards: address).address == address)
  }

  // Of a link-local address without a scope, and of another machine from loopback, connect(2) says `invalidArgument`.
  @Test func `a peer that this host has no address to reach from is unreachable`() async throws {
    let linkLocal = IPAddress.v6(0xfe80 << 112 | 1)
    #expect(throws: Errno.networkUnreachable) { _ = try UDPSocket.localAddress(towards: linkLocal) }
    try await onLoop { loop -> Void in
      let socket = try UDPSocket(.v6, on: loop)
      #expect(throws: Errno.networkUnreachable) { try socket.connect(to: SocketAddress(linkLocal, port: 9)) }
      let local = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: loop)
      #expect(throws: Errno.networkUnreachable) {
        try local.connect(to: SocketAddress(.v4(0xc000_0201), port: 9))
      }
    }
  }

  @Test func `towards the broadcast address there is no way without asking for it`() {
    #expect(throws: Errno.self) { _ = try UDPSocket.localAddress(towards: .v4(.max)) }
  }
}
