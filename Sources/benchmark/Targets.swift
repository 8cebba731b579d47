import Addresses
import Transport

/// What stands at the far end of the measured tunnels.
enum Target: Int, CaseIterable {
  /// Closes each connection at once. So the far side ends first, and no port of a client or proxy stays in TIME_WAIT.
  case closing
  /// Reads and forgets.
  case sink
  /// Writes without end.
  case source
  /// Sends back what it reads.
  case echo
  /// Sends back datagrams. Streams it closes, so that it can be seen to run.
  case datagrams
}

/// The servers behind all targets, in a process of their own: one loop a core, as the proxies have.
struct Targets {
  let address: IPAddress
  /// One for each case of `Target`.
  let ports: [UInt16]

  /// The address, then the ports.
  init?(_ arguments: some Sequence<String>) {
    let words = Array(arguments)
    guard let address = words.first.flatMap({ IPAddress($0) }) else { return nil }
    self.address = address
    ports = words.dropFirst().compactMap { UInt16($0) }
    guard ports.count == Target.allCases.count else { return nil }
  }

  func serve() async throws {
    try await withThrowingDiscardingTaskGroup { group in
      let datagramLoop = try EventLoop()
      group.addTask(executorPreference: datagramLoop) { try await echoDatagrams(on: datagramLoop) }
      for _ in 0..<Machine.cores {
        let loop = try EventLoop()
        for (target, port) in zip(Target.allCases, ports) {
          group.addTask(executorPreference: loop) { try await accept(for: target, on: port, loop: loop) }
        }
      }
    }
  }

  private func accept(for target: Target, on port: UInt16, loop: EventLoop) async throws {
    let listener = try TCPListener(on: SocketAddress(address, port: port), joins: true, loop: loop)
    try await withThrowingDiscardingTaskGroup { group in
      while true {
        guard let connection = try listener.accept() else {
          guard await loop.wait(for: listener.interest, until: .never) != .cancelled else { return }
          continue
        }
        group.addTask(executorPreference: loop) { await answer(connection, as: target, on: loop) }
      }
    }
  }

  private func echoDatagrams(on loop: EventLoop) async throws {
    let echo = SocketAddress(address, port: ports[Target.datagrams.rawValue])
    let socket = try UDPSocket(bindingTo: echo, on: loop)
    let batch = loop.datagrams
    while true {
      let count = try batch.receive(from: socket)
      for index in 0..<count { batch.stage(index, to: batch.source(of: index)) }
      _ = batch.send(on: socket)
      guard count < DatagramBatch.capacity else { continue }
      guard await loop.wait(for: socket.interest(in: .readable), until: .never) != .cancelled else { return }
    }
  }

  /// However a connection ends, that is the client's doing, and the client counts it.
  private func answer(_ connection: TCPListener.Connection, as target: Target, on loop: EventLoop) async {
    guard let stream = try? TCPStream(connection, on: loop) else { return }
    var bytes: [UInt8] = []
    do {
      switch target {
      case .closing, .datagrams:
        break
      case .sink:
        while try await stream.read(into: &bytes, atMost: EventLoop.scratchSize, until: .never) {
          bytes.removeAll(keepingCapacity: true)
        }
      case .source:
        let block = [UInt8](repeating: 0x53, count: 256 * 1024)
        while true { try await stream.write(block, until: .never) }
      case .echo:
        while try await stream.read(into: &bytes, until: .never) {
          try await stream.write(bytes, until: .never)
          bytes.removeAll(keepingCapacity: true)
        }
      }
    } catch {}
  }
}
