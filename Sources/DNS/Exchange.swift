import Addresses
import Transport

/// Asks name servers one question until one of them answers.
///
/// Each server is asked in turn, over UDP and from a port that the kernel chooses anew for every try (RFC 5452 §9.2); over
/// TCP when its reply did not fit into a datagram. The first round waits `patience` for each server, every later round
/// twice as long as the one before.
struct Exchange {
  /// How often a server that stays silent is asked.
  private static let rounds = 3
  /// How many datagrams of a server are read before others on the loop have their turn.
  private static let datagramsATurn = 16
  /// What is short now may be there again: how long to wait before the first new try.
  private static let shortagePause = Duration.milliseconds(10)

  let query: Query
  let patience: Duration
  /// Questions of the first round are extended (EDNS(0)). A server that does not answer, or does not understand, is asked
  /// as before there was that.
  let extends: Bool
  let loop: EventLoop

  private var question: Question { query.question }

  /// The answer, and how long it is true; `nil` where nobody says.
  typealias Response = (answer: Question.Answer, lifetime: Duration?)

  func run(asking servers: [SocketAddress]) async -> Response {
    var failure: ResolutionFailure?
    var failed: Set<Int> = []
    for round in 0..<Self.rounds {
      for (index, server) in servers.enumerated() where !failed.contains(index) {
        // Nobody waits any more: what was sent may still be answered, but nothing is sent again.
        guard query.isAwaited || query.server == nil else { return (.failure(.cancelled), nil) }
        query.server = server
        do {
          return try await ask(server, within: patience * (1 << round), isExtended: extends && round == 0)
        } catch .cancelled {
          return (.failure(.cancelled), nil)
        } catch .timedOut {
          continue
        } catch {
          failed.insert(index)
          failure = failure.map { $0.told(with: error) } ?? error
        }
      }
    }
    return (.failure(failure ?? .timedOut), nil)
  }

  private func ask(
    _ server: SocketAddress, within limit: Duration, isExtended: Bool
  ) async throws(ResolutionFailure) -> Response {
    let deadline = Deadline.after(limit)
    var isExtended = isExtended
    var pause = Self.shortagePause
    while true {
      do throws(ResolutionFailure) {
        guard let reply = try await askByDatagram(server, isExtended: isExtended, until: deadline) else {
          return try Self.response(of: try await askByStream(server, until: .after(limit)))
        }
        if isExtended, reply.refusesFormat { throw ResolutionFailure.malformed }
        return try Self.response(of: reply)
      } catch {
        // The server may do better without.
        if isExtended, error == .malformed {
          isExtended = false
          continue
        }
        guard case .shortage = error, Deadline.now + pause < deadline else { throw error }
        guard await loop.wait(for: [], until: .now + pause) == .timedOut else { throw .cancelled }
        pause *= 2
      }
    }
  }

  private static func response(of reply: Reply) throws(ResolutionFailure) -> Response {
    // A server that failed or refused says nothing of the name: another may know it.
    guard reply.code == 0 || reply.code == 3 else { throw .serverFailure }
    do {
      return try reply.response()
    } catch {
      throw .malformed
    }
  }

  /// The reply; `nil` when it was cut short.
  private func askByDatagram(
    _ server: SocketAddress, isExtended: Bool, until deadline: Deadline
  ) async throws(ResolutionFailure) -> Reply? {
    let id = UInt16.random(in: 0...UInt16.max)
    do throws(Errno) {
      let socket = try UDPSocket(server.address.family, on: loop)
      // From then on the kernel lets nobody else's datagrams in, and tells when nobody listens there.
      try socket.connect(to: server)
      try socket.send(question.message(id: id, isExtended: isExtended), to: nil)
      while true {
        var count = 0
        while let datagram = try socket.receive() {
          count += 1
          // A server that sends without end has its turn like others, and no more time.
          if count.isMultiple(of: Self.datagramsATurn) {
            guard Deadline.now < deadline else { throw .timedOut }
            await Task.yield()
          }
          switch Result(catching: { () throws(MessageReader.Malformed) in
            try Reply(datagram, to: question, id: id)
          }) {
          case .success(nil): continue
          case .success(let reply?): return reply.isTruncated ? nil : reply
          case .failure: throw .protocolError
          }
        }
        try await socket.descriptor.wait(for: .readable, until: deadline)
      }
    } catch {
      throw ResolutionFailure(error)
    }
  }

  /// Behind its length (RFC 1035 §4.2.2).
  private func askByStream(
    _ server: SocketAddress, until deadline: Deadline
  ) async throws(ResolutionFailure) -> Reply {
    let id = UInt16.random(in: 0...UInt16.max)
    let message = question.message(id: id)
    do throws(Errno) {
      let stream = try await TCPStream.connect(to: server, on: loop, until: deadline)
      try await stream.write(
        [UInt8(message.count >> 8), UInt8(message.count & 255)] + message, until: deadline)
      var input: [UInt8] = []
      while input.count < 2 || input.count < 2 + Int(input[0]) << 8 + Int(input[1]) {
        guard try await stream.read(into: &input, until: deadline) else { throw .connectionReset }
      }
      let length = Int(input[0]) << 8 | Int(input[1])
      guard let reply = try? Reply(Array(input[2..<(2 + length)]), to: question, id: id), !reply.isTruncated
      else { throw .protocolError }
      return reply
    } catch {
      throw ResolutionFailure(error)
    }
  }
}

extension ResolutionFailure {
  /// What is told when first this failure and then `other` was met: what is ours says nothing of any server.
  func told(with other: ResolutionFailure) -> ResolutionFailure { isOurs ? self : other }

  /// What a failed system call means for a question.
  fileprivate init(_ error: Errno) {
    switch error {
    case .timedOut: self = .timedOut
    case .cancelled: self = .cancelled
    case .protocolError: self = .malformed
    case _ where error.isOurs: self = .shortage(error)
    default: self = .unreachable
    }
  }
}
