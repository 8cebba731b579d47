import Addresses
import Glibc
import Transport
import Wire

/// One tunnel, opened by a process of its own with plain blocking calls: those that proxychains can take the place of.
struct Visit {
  let road: Road

  /// Seconds since before the connection was begun.
  struct Times {
    /// The client was told that the tunnel stands.
    var opened: Double
    /// The first byte came from the target, which was asked as soon as the tunnel stood.
    var answered: Double
  }

  func make() throws -> Times {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    let start = Deadline.now
    try connect(socket)
    if let destination = road.destination {
      try send(SOCKS5.Greeting(methods: [.noAuthentication]).bytes, over: socket)
      _ = try receive(SOCKS5.MethodSelection.self, from: socket)
      let request = SOCKS5.Request(.connect, to: Endpoint(destination.address, port: destination.port))
      try send(request.bytes, over: socket)
      let reply = try receive(SOCKS5.Reply.self, from: socket)
      guard reply.code == .succeeded else { throw Road.Failure.refused(reply.code) }
    }
    let opened = Deadline.now.since(start)
    try send([0x53], over: socket)
    guard try !read(from: socket).isEmpty else { throw Road.Failure.closed }
    return Times(opened: opened.seconds, answered: Deadline.now.since(start).seconds)
  }

  private func connect(_ socket: Int32) throws {
    guard case .v4(let bits) = road.entry.address else { throw Errno(rawValue: EAFNOSUPPORT) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = road.entry.port.bigEndian
    address.sin_addr.s_addr = bits.bigEndian
    let result = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Errno(rawValue: errno) }
  }

  private func send(_ bytes: [UInt8], over socket: Int32) throws {
    let count = unsafe bytes.withUnsafeBufferPointer {
      unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard count == bytes.count else { throw Errno(rawValue: errno) }
  }

  private func read(from socket: Int32) throws -> [UInt8] {
    var failure: Errno?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
      let result = unsafe Glibc.read(socket, buffer.baseAddress, buffer.count)
      if result < 0 { failure = Errno(rawValue: errno) }
      count = max(0, result)
    }
    if let failure { throw failure }
    return bytes
  }

  private func receive<Answer: Message>(_: Answer.Type, from socket: Int32) throws -> Answer {
    var input: [UInt8] = []
    while true {
      let bytes = try read(from: socket)
      guard !bytes.isEmpty else { throw Road.Failure.closed }
      input += bytes
      var reader = ByteReader(input)
      if let answer = try Answer(parsing: &reader) { return answer }
    }
  }
}

extension Nodes {
  /// So long may a tunnel take, and so long may servers take to start.
  static let patience = Duration.seconds(20)

  /// Has a tunnel opened from the client's node.
  ///
  /// - Parameters:
  ///   - prefix: in front of the visiting program's own command line.
  ///   - log: what it says.
  func visit(
    _ road: Road, prefix: [String] = [], log: String
  ) throws -> Result<Visit.Times, Machine.Failure> {
    let arguments = ["\(Machine.programDirectory)/benchmark"] + Visit.arguments(for: road)
    let process = try start(prefix + arguments, at: 0, log: log)
    let deadline = Deadline.after(Self.patience)
    while !process.hasEnded, Deadline.now < deadline { try Interruption.pause(milliseconds: 2) }
    let said = Files.read(log)
    return Visit.Times(said).map { .success($0) }
      ?? .failure(Machine.Failure(description: "no tunnel; \(said)"))
  }
}

// MARK: - Its command line and its output

extension Visit {
  /// Address and port of the road's entry and, if there is one, of its destination.
  init?(_ arguments: some Sequence<String>) {
    let words = Array(arguments)
    guard let entry = Self.address(words.prefix(2)) else { return nil }
    road = Road(entry: entry, destination: Self.address(words.dropFirst(2)))
  }

  static func arguments(for road: Road) -> [String] {
    ["visit"]
      + [road.entry, road.destination].compactMap(\.self).flatMap { ["\($0.address)", "\($0.port)"] }
  }

  private static func address(_ words: ArraySlice<String>) -> SocketAddress? {
    guard words.count == 2, let address = words.first.flatMap({ IPAddress($0) }),
      let port = words.last.flatMap({ UInt16($0) })
    else { return nil }
    return SocketAddress(address, port: port)
  }
}

extension Visit.Times: LosslessStringConvertible {
  init?(_ description: String) {
    let numbers = description.split { $0.isWhitespace }.compactMap { Double($0) }
    guard numbers.count == 2 else { return nil }
    self.init(opened: numbers[0], answered: numbers[1])
  }

  var description: String { "\(opened) \(answered)" }
}
