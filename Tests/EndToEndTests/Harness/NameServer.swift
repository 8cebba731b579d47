import Foundation

/// A name server on loopback whose every answer the test decides, and which remembers every question.
final class NameServer: Sendable {
  enum Answer: Sendable {
    /// Addresses of both families; each question gets those of its own.
    case addresses([String], ttl: UInt32 = 60)
    /// Addresses for one type of question, and silence for every other.
    case addressesOf(type: UInt16, [String])
    /// The name of an address, to the question for it (`1.2.0.192.in-addr.arpa`).
    case name(String)
    case noSuchName
    case failure
    case never
    /// Answers as `then` says, but only when the gate is open; with `type`, other questions at once.
    case held(Gate, type: UInt16? = nil, then: [String])
    /// To the first question of a type the first, and so on; the last for ever. Time to live 0.
    case inTurn([[String]])
    /// An answer to another question than the one asked.
    case aboutAnotherName
    case garbage
  }

  struct Question: Hashable, Sendable, CustomStringConvertible {
    let name: String
    let type: UInt16
    var description: String { "\(type == 1 ? "A" : type == 28 ? "AAAA" : "\(type)") \(name)" }
  }

  let questions = Recorder<Question>()
  let address: String
  private let socket: Socket

  /// - Parameter otherwise: the answer for every other name.
  init(_ answers: [String: Answer] = [:], otherwise: Answer = .noSuchName) throws {
    socket = try withSocketAddress("127.0.0.1:0") { pointer, length in
      let descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard bind(descriptor, pointer, length) == 0 else { throw SocketError("bind") }
      return Socket(taking: descriptor)
    }
    socket.setTimeouts(0)
    address = socket.localAddress
    Thread.detachNewThread { [socket, questions] in
      var buffer = [UInt8](repeating: 0, count: 2048)
      while true {
        var peer = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &peer) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            recvfrom(socket.descriptor, &buffer, buffer.count, 0, $0, &length)
          }
        }
        // The owner woke us with nothing to read, or the socket is broken: either way it is over.
        guard count > 0 else { return }
        let query = Array(buffer[..<count])
        guard let question = NameServer.question(in: query) else { continue }
        questions.record(question)
        let earlier = questions.all.filter { $0 == question }.count - 1
        let answer = answers[question.name] ?? otherwise
        let recipient = peer
        if case .held(let gate, let type, _) = answer, type ?? question.type == question.type {
          Thread.detachNewThread {
            try? gate.wait()
            NameServer.reply(to: query, question, answer, earlier, on: socket, to: recipient)
          }
        } else {
          NameServer.reply(to: query, question, answer, earlier, on: socket, to: recipient)
        }
      }
    }
  }

  deinit { socket.hangUp() }

  /// The `dns:` of a table that asks here, and nowhere else.
  var table: String { "dns: {servers: [\"\(address)\"]}\n" }

  private static func reply(
    to query: [UInt8], _ question: Question, _ answer: Answer, _ earlier: Int, on socket: Socket,
    to recipient: sockaddr_in
  ) {
    let bytes: [UInt8]
    switch answer {
    case .never: return
    case .addressesOf(let type, let addresses):
      guard type == question.type else { return }
      bytes = message(query, question, addresses, ttl: 60)
    case .garbage:
      bytes = Array(query.prefix(2)) + [0x81, 0x80, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xC0, 0x0C, 0xC0]
    case .name(let name):
      let labels = name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
      bytes = message(query, question, records: question.type == 12 ? [labels + [0]] : [], ttl: 60)
    case .noSuchName: bytes = message(query, question, code: 3)
    case .failure: bytes = message(query, question, code: 2)
    case .addresses(let addresses, let ttl): bytes = message(query, question, addresses, ttl: ttl)
    case .held(_, _, let addresses): bytes = message(query, question, addresses, ttl: 60)
    case .inTurn(let list): bytes = message(query, question, list[min(earlier, list.count - 1)], ttl: 0)
    case .aboutAnotherName:
      var other = query
      // The first letter of the first label.
      other[13] = other[13] == 0x7A ? 0x79 : 0x7A
      bytes = message(other, question, ["127.0.0.1", "::1"], ttl: 60)
    }
    var recipient = recipient
    _ = withUnsafePointer(to: &recipient) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(socket.descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  /// RFC 1035 §4.1: a header of 12 octets, then labels, type and class.
  private static func question(in query: [UInt8]) -> Question? {
    var labels: [String] = []
    var position = 12
    while position < query.count, query[position] != 0 {
      let end = position + 1 + Int(query[position])
      guard end < query.count else { return nil }
      labels.append(String(decoding: query[position + 1..<end], as: UTF8.self))
      position = end
    }
    guard position + 4 < query.count else { return nil }
    let type = UInt16(query[position + 1]) << 8 | UInt16(query[position + 2])
    return Question(name: labels.joined(separator: ".").lowercased(), type: type)
  }

  private static func message(
    _ query: [UInt8], _ question: Question, _ addresses: [String] = [], ttl: UInt32 = 0, code: UInt8 = 0
  ) -> [UInt8] {
    let records = addresses.compactMap { address -> [UInt8]? in
      var bytes = [UInt8](repeating: 0, count: 16)
      let family = address.contains(":") ? AF_INET6 : AF_INET
      guard inet_pton(family, address, &bytes) == 1, question.type == (family == AF_INET ? 1 : 28) else {
        return nil
      }
      return family == AF_INET ? Array(bytes[..<4]) : bytes
    }
    return message(query, question, records: records, ttl: ttl, code: code)
  }

  private static func message(
    _ query: [UInt8], _ question: Question, records: [[UInt8]], ttl: UInt32, code: UInt8 = 0
  ) -> [UInt8] {
    let end = (query[12...].firstIndex(of: 0) ?? 12) + 5
    var message = Array(query[..<2]) + [0x81, 0x80 | code, 0, 1, 0, UInt8(records.count), 0, 0, 0, 0]
    message += query[12..<end]
    for record in records {
      message += [0xC0, 12] + SOCKS.bigEndian(question.type) + [0, 1]
      message += withUnsafeBytes(of: ttl.bigEndian) { Array($0) }
      message += SOCKS.bigEndian(UInt16(record.count)) + record
    }
    return message
  }
}
