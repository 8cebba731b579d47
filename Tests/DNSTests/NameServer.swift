import Addresses
import Glibc
import Synchronization

/// A name server on loopback, UDP and TCP, that answers, lies or stays silent as each name's script says.
final class NameServer: Sendable {
  enum Behaviour: Sendable {
    /// The addresses of the family asked for; without one, an empty answer.
    case addresses([IPAddress], ttl: UInt32)
    /// First a CNAME record, then the addresses.
    case alias(String, ttl: UInt32, [IPAddress], addressTTL: UInt32)
    /// A PTR record with these labels, behind a CNAME record that leads to it if there is one.
    case pointer([String], via: String? = nil)
    /// Nothing but a SOA record, with this TTL and MINIMUM: a code of 0 says that there is no such record, 3 that there is
    /// no such name (RFC 2308).
    case nothing(code: UInt8, ttl: UInt32, minimum: UInt32)
    /// A response code: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    case code(UInt8)
    case silence
    /// Silent for so many datagrams of each type, then answers.
    case answersAfter(Int, [IPAddress])
    /// Silent for questions of this type; to others the addresses.
    case silentFor(type: UInt16, [IPAddress])
    /// Over UDP only the question with TC set; over TCP the addresses.
    case truncated([IPAddress])
    /// The question with TC set, over UDP and over TCP.
    case alwaysTruncated
    /// Over UDP the addresses if the question has room for them, else TC; over TCP the addresses.
    case fitting([IPAddress])
    /// This to a question with EDNS(0); the addresses to one without.
    case old(Misunderstanding, [IPAddress])
    /// First an answer with another ID and one to another question, then the true one.
    case forgedFirst([IPAddress], truth: [IPAddress])
    /// These octets behind the ID.
    case garbage([UInt8])
  }

  /// How servers of before EDNS(0) answer it.
  enum Misunderstanding: Sendable {
    case silence
    case code(UInt8)
    /// A code, without the question.
    case bareCode(UInt8)
    /// A header that promises records, and the question.
    case malformed
  }

  struct Asked: Hashable, Sendable {
    var name: String
    var type: UInt16
    var overTCP = false
    /// It has a record of EDNS(0), and says how many octets a reply may have.
    var extent: Int?
  }

  let address: SocketAddress
  /// Each question as it comes; for one reader.
  let questions: AsyncStream<Asked>
  private let report: AsyncStream<Asked>.Continuation
  private let script: [String: Behaviour]
  private let received = Mutex<[Asked]>([])
  private let receivedPorts = Mutex<[UInt16]>([])
  private let receivedIDs = Mutex<[UInt16]>([])
  private let stopPipe: (read: Int32, write: Int32)

  init(_ script: [String: Behaviour]) {
    self.script = script
    (questions, report) = AsyncStream.makeStream()
    let (datagrams, listener, port) = socketsOnOnePort()
    address = SocketAddress(.loopback4, port: port)
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    stopPipe = (ends[0], ends[1])
    let context = Unmanaged.passRetained(Start(server: self, datagrams: datagrams, listener: listener))
    var thread = pthread_t()
    pthread_create(&thread, nil, serveNames, context.toOpaque())
    pthread_detach(thread)
  }

  func stop() {
    close(stopPipe.write)
  }

  /// Everything asked so far, in order.
  var asked: [Asked] { received.withLock { $0 } }

  /// The port from which each datagram came.
  var ports: [UInt16] { receivedPorts.withLock { $0 } }

  /// The ID of each question.
  var ids: [UInt16] { receivedIDs.withLock { $0 } }

  func count(of name: String) -> Int { asked.count { $0.name == name } }

  fileprivate func serve(_ datagrams: Int32, _ listener: Int32) {
    defer { for descriptor in [datagrams, listener, stopPipe.read] { close(descriptor) } }
    while true {
      var polled = [datagrams, listener, stopPipe.read].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      guard poll(&polled, 3, -1) > 0 else { continue }
      if polled[2].revents != 0 { return }
      if polled[0].revents != 0 { serveDatagram(datagrams) }
      if polled[1].revents != 0 { serveConnection(listener) }
    }
  }

  private func serveDatagram(_ datagrams: Int32) {
    var query = [UInt8](repeating: 0, count: 512)
    var peer = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let count = withUnsafeMutablePointer(to: &peer) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(datagrams, &query, query.count, 0, $0, &length)
      }
    }
    guard count > 12 else { return }
    let port = withUnsafeBytes(of: peer) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    receivedPorts.withLock { $0.append(port) }
    for message in answers(to: Array(query[..<count]), overTCP: false) {
      withUnsafePointer(to: peer) {
        _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(datagrams, message, message.count, 0, $0, length)
        }
      }
    }
  }

  private func serveConnection(_ listener: Int32) {
    let connection = accept(listener, nil, nil)
    defer { close(connection) }
    while let length = readExactly(2, from: connection),
      let query = readExactly(Int(length[0]) << 8 | Int(length[1]), from: connection)
    {
      for message in answers(to: query, overTCP: true) {
        let framed = octets(UInt16(message.count)) + message
        write(connection, framed, framed.count)
      }
    }
  }
}

// MARK: - Messages (RFC 1035 §4)

extension NameServer {
  private func answers(to query: [UInt8], overTCP: Bool) -> [[UInt8]] {
    var labels: [String] = []
    var place = 12
    while query[place] != 0 {
      let end = place + 1 + Int(query[place])
      labels.append(String(decoding: query[(place + 1)..<end], as: UTF8.self))
      place = end
    }
    let name = labels.joined(separator: ".")
    let type = UInt16(query[place + 1]) << 8 | UInt16(query[place + 2])
    // The root's name, type 41, and the extent in the place of the class (RFC 6891 §6.1.2).
    let rest = query[(place + 5)...]
    let extent = rest.starts(with: [0, 0, 41]) ? Int(rest[place + 8]) << 8 | Int(rest[place + 9]) : nil
    let asked = Asked(name: name, type: type, overTCP: overTCP, extent: extent)
    let earlier = received.withLock { received in
      defer { received.append(asked) }
      return received.count { $0 == asked }
    }
    report.yield(asked)
    let id = Array(query[..<2])
    receivedIDs.withLock { $0.append(UInt16(id[0]) << 8 | UInt16(id[1])) }
    let question = Array(query[12..<(place + 5)])
    func truth(_ addresses: [IPAddress], ttl: UInt32 = 3600) -> [UInt8] {
      message(id, question, answers: addresses.compactMap { record(for: $0, type: type, ttl: ttl) })
    }

    switch script[name] ?? .code(3) {
    case .addresses(let addresses, let ttl): return [truth(addresses, ttl: ttl)]
    case .alias(let target, let ttl, let addresses, let addressTTL):
      let alias = record(owner: [0xc0, 12], type: 5, ttl: ttl, data: encoded(target))
      let records = addresses.compactMap {
        record(owner: encoded(target), for: $0, type: type, ttl: addressTTL)
      }
      return [message(id, question, answers: [alias] + records)]
    case .pointer(let labels, let alias):
      var records: [[UInt8]] = []
      if let alias { records.append(record(owner: [0xc0, 12], type: 5, ttl: 3600, data: encoded(alias))) }
      records.append(
        record(owner: alias.map(encoded) ?? [0xc0, 12], type: 12, ttl: 3600, data: encoded(labels)))
      return [message(id, question, answers: records)]
    case .nothing(let code, let ttl, let minimum):
      let data =
        encoded("ns.test") + encoded("root.test") + [UInt8](repeating: 1, count: 16) + octets(minimum)
      let authority = record(owner: encoded("test"), type: 6, ttl: ttl, data: data)
      return [message(id, question, code: code, authorities: [authority])]
    case .code(let code): return [message(id, question, code: code)]
    case .silence: return []
    case .silentFor(let silent, let addresses): return type == silent ? [] : [truth(addresses)]
    case .answersAfter(let silent, let addresses): return earlier < silent ? [] : [truth(addresses)]
    case .truncated(let addresses):
      return [overTCP ? truth(addresses) : message(id, question, truncated: true)]
    case .alwaysTruncated: return [message(id, question, truncated: true)]
    case .fitting(let addresses):
      let whole = truth(addresses)
      return [overTCP || whole.count <= extent ?? 512 ? whole : message(id, question, truncated: true)]
    case .old(let misunderstanding, let addresses):
      guard extent != nil else { return [truth(addresses)] }
      switch misunderstanding {
      case .silence: return []
      case .code(let code): return [message(id, question, code: code)]
      case .bareCode(let code): return [id + [0x81, 0x80 | code] + [UInt8](repeating: 0, count: 8)]
      case .malformed: return [message(id, question, answers: [[]])]
      }
    case .forgedFirst(let forged, let addresses):
      let lie = forged.compactMap { record(for: $0, type: type, ttl: 3600) }
      let other = encoded("other.test") + question.suffix(4)
      return [
        message(id.map { ~$0 }, question, answers: lie), message(id, other, answers: lie), truth(addresses),
      ]
    case .garbage(let octets): return [id + octets]
    }
  }

  private func message(
    _ id: [UInt8], _ question: [UInt8], code: UInt8 = 0, truncated: Bool = false, answers: [[UInt8]] = [],
    authorities: [[UInt8]] = []
  ) -> [UInt8] {
    // QR, TC and RD; RA and the code; the counts: one question, the answers, the authorities, nothing else.
    id + [truncated ? 0x83 : 0x81, 0x80 | code, 0, 1] + octets(UInt16(answers.count))
      + octets(UInt16(authorities.count)) + [0, 0] + question + (answers + authorities).flatMap { $0 }
  }

  /// An owner of `c0 0c` points to the name in the question.
  private func record(
    owner: [UInt8] = [0xc0, 12], for address: IPAddress, type: UInt16, ttl: UInt32
  ) -> [UInt8]? {
    switch (address, type) {
    case (.v4(let bits), 1): record(owner: owner, type: 1, ttl: ttl, data: octets(bits))
    case (.v6(let bits), 28): record(owner: owner, type: 28, ttl: ttl, data: octets(bits.value))
    default: nil
    }
  }

  private func record(owner: [UInt8], type: UInt16, ttl: UInt32, data: [UInt8]) -> [UInt8] {
    owner + octets(type) + [0, 1] + octets(ttl) + octets(UInt16(data.count)) + data
  }

  private func encoded(_ name: String) -> [UInt8] {
    encoded(name.split(separator: ".").map(String.init))
  }

  private func encoded(_ labels: [String]) -> [UInt8] {
    labels.flatMap { [UInt8($0.utf8.count)] + $0.utf8 } + [0]
  }
}

// MARK: - Sockets and threads

/// In network order.
private func octets(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.bigEndian) { Array($0) }
}

private func readExactly(_ count: Int, from descriptor: Int32) -> [UInt8]? {
  var bytes: [UInt8] = []
  while bytes.count < count {
    var chunk = [UInt8](repeating: 0, count: count - bytes.count)
    let got = read(descriptor, &chunk, chunk.count)
    guard got > 0 else { return nil }
    bytes += chunk[..<got]
  }
  return bytes
}

/// A UDP socket and a listening TCP socket on 127.0.0.1, on a port that is free for both.
private func socketsOnOnePort() -> (datagrams: Int32, listener: Int32, port: UInt16) {
  while true {
    let datagrams = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if let port = bindToLoopback(datagrams, port: 0), bindToLoopback(listener, port: port) != nil,
      listen(listener, 16) == 0
    {
      return (datagrams, listener, port)
    }
    close(datagrams)
    close(listener)
  }
}

/// The port it is bound to, which is a free one for 0; `nil` when it is taken.
func bindToLoopback(_ descriptor: Int32, port: UInt16) -> UInt16? {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  address.sin_port = port.bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
    }
  }
  return result ? UInt16(bigEndian: address.sin_port) : nil
}

/// A port of 127.0.0.1 that answers nothing: its datagrams are refused by ICMP while it is held by nobody.
func unusedPort() -> UInt16 {
  let (datagrams, listener, port) = socketsOnOnePort()
  close(datagrams)
  close(listener)
  return port
}

private final class Start: Sendable {
  let server: NameServer
  let datagrams: Int32
  let listener: Int32

  init(server: NameServer, datagrams: Int32, listener: Int32) {
    self.server = server
    self.datagrams = datagrams
    self.listener = listener
  }
}

private func serveNames(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
  start.server.serve(start.datagrams, start.listener)
  return nil
}
