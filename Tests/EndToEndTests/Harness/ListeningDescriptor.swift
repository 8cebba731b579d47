import Foundation

/// A socket for a program that is passed its sockets, as a service manager keeps one.
final class ListeningDescriptor: Sendable {
  /// Above those that a program gets them as, so that none is in the way of another.
  let number: Int32
  let address: String

  private static let lowest: Int32 = 100

  /// Takes over a descriptor of any kind.
  init(_ descriptor: Int32, address: String = "") {
    number = fcntl(descriptor, F_DUPFD_CLOEXEC, Self.lowest)
    close(descriptor)
    self.address = address
  }

  /// Listens on an address.
  convenience init(on address: String) throws {
    let descriptor = try listen(on: address)
    let isPath = address.hasPrefix("unix:")
    self.init(descriptor, address: isPath ? address : Self.localAddress(of: descriptor))
  }

  deinit { close(number) }

  private static func localAddress(of descriptor: Int32) -> String {
    Socket(taking: dup(descriptor)).localAddress
  }
}

/// Clients that connect, have an octet echoed and go, again and again.
final class Visits: Sendable {
  /// What failed: when the client connected, or later.
  enum Fault: Hashable, Sendable {
    case connecting(Int32)
    case connected(String)
  }

  private let faults = Locked<[Fault: Int]>([:])
  private let visited = Recorder<Void>()
  private let ended = Recorder<Void>()
  private let isOver = Locked(false)
  private let clients: Int

  /// - Parameters:
  ///   - addresses: of the proxy; each is visited by two clients at a time.
  ///   - target: the address of an echo server.
  init(to addresses: [String], for target: String) {
    clients = 2 * addresses.count
    for address in addresses + addresses {
      Thread.detachNewThread { [self] in
        while !isOver.withLock({ $0 }) {
          if let fault = visit(address, for: target) { faults.withLock { $0[fault, default: 0] += 1 } }
          visited.record(())
          // The host's ports last for longer than the test.
          poll(nil, 0, 2)
        }
        ended.record(())
      }
    }
  }

  /// Waits until so many more visits are over.
  func wait(forMore count: Int) throws { try visited.wait(forCount: visited.all.count + count) }

  /// Ends the visits, and says what failed, and how often.
  func end() throws -> [Fault: Int] {
    isOver.withLock { $0 = true }
    try ended.wait(forCount: clients)
    return faults.withLock { $0 }
  }

  private func visit(_ address: String, for target: String) -> Fault? {
    do {
      let socket = try Socket(to: address)
      do {
        let code = try socket.requestConnect(to: target).code
        guard code == 0 else { return .connected("reply \(code)") }
        try socket.send(7)
        let answer = try socket.receive(exactly: 1)
        return answer == [7] ? nil : .connected("\(answer) in place of an octet")
      } catch {
        return .connected("\(error)")
      }
    } catch {
      return .connecting((error as? SocketError)?.code ?? 0)
    }
  }
}
