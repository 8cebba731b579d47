import Addresses
import Glibc
import TLS
import TLSPeer
import Testing

/// Two connected sockets, neither of which blocks: a client's session stands over `near`, and `far` is the test's.
final class Line {
  let near: Int32
  private(set) var far: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    try #require(
      socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
    near = ends[0]
    far = ends[1]
  }

  deinit {
    close(near)
    hangUp()
  }

  /// Closes the far end, also where a process that another test starts has just inherited it.
  func hangUp() {
    guard far >= 0 else { return }
    shutdown(far, Int32(SHUT_RDWR))
    close(far)
    far = -1
  }

  /// What has come to the far end.
  func taken(atMost limit: Int = 1 << 20) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: limit)
    let count = recv(far, &buffer, limit, 0)
    return Array(buffer.prefix(max(0, count)))
  }

  /// Sends from the far end; answers how much went.
  @discardableResult func give(_ bytes: some Collection<UInt8>) -> Int {
    bytes.isEmpty ? 0 : max(0, send(far, Array(bytes), bytes.count, Int32(MSG_NOSIGNAL)))
  }

  /// Brings both ends' bytes across until nothing moves any more.
  func exchange(with server: TLSServer) {
    while true {
      let received = taken()
      server.take(received)
      let sent = give(server.give())
      if received.isEmpty, sent == 0 { return }
    }
  }
}

/// An established session, and both ends of its line.
struct Call {
  let line: Line
  let client: TLSSession
  let server: TLSServer

  /// Agrees on everything, or throws why the client does not.
  init(
    _ demands: TLSContext.Demands, to host: Host = .name(proxyName), _ server: TLSServer
  ) throws {
    line = try Line()
    client = try TLSSession(try TLSContext(demands), to: host, over: line.near)
    self.server = server
    while case .awaits = try client.handshake() {
      let before = server.isEstablished
      line.exchange(with: server)
      if before { break }
    }
    line.exchange(with: server)
  }

  /// One whose client trusts the server.
  init(version: TLSServer.Version = .tls13) throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    try self.init(
      TLSContext.Demands(trust: .authorities(certificate.pem)), TLSServer(certificate, version: version))
  }
}

/// A session within that of a call, established.
struct InnerCall {
  let client: TLSSession
  let server: TLSServer

  init(_ outer: Call) throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    let context = try TLSContext(TLSContext.Demands(trust: .authorities(certificate.pem)))
    server = TLSServer(certificate)
    client = try TLSSession(context, to: .name(proxyName), over: outer.line.near, within: outer.client)
    var isDone = false
    while !isDone {
      if case .moved = try client.handshake() { isDone = true }
      outer.line.exchange(with: outer.server)
      server.take(outer.server.read())
      let answer = server.give()
      if !answer.isEmpty { outer.server.write(answer) }
      outer.line.exchange(with: outer.server)
    }
    _ = try client.read()
  }
}

extension Call {
  /// One whose tickets need more than one record: they hold the client's certificate.
  static func withLongTickets() throws -> Call {
    let certificate = Certificate(for: "DNS:proxy.test")
    let own = Certificate(for: "DNS:client.test")
    var demands = TLSContext.Demands(trust: .authorities(certificate.pem))
    demands.identity = TLSContext.Identity(certificates: own.pem, key: own.keyPEM)
    return try Call(demands, TLSServer(certificate, demanding: own, largestRecord: 512))
  }
}

let proxyName: DomainName = {
  do {
    return try DomainName("proxy.test")
  } catch {
    preconditionFailure("a name was refused: \(error)")
  }
}()

extension TLSSession {
  /// What one read gives; `nil` if it awaits more.
  func read(atMost limit: Int = 65_536) throws(TLSFailure) -> [UInt8]? {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 1)
    defer { buffer.deallocate() }
    guard case .moved(let count) = try read(into: buffer) else { return nil }
    return Array(buffer.prefix(count))
  }

  /// How much one write takes.
  func write(_ bytes: some Collection<UInt8>) throws(TLSFailure) -> Progress {
    let bytes = Array(bytes)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return try write(UnsafeRawBufferPointer(copy))
  }
}

/// So many bytes that do not repeat in step with any buffer.
func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }
