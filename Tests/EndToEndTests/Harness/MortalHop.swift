import Foundation

/// A hop at a port of its own that comes and goes.
final class MortalHop: Sendable {
  enum State {
    case up
    /// It listens, and does nothing.
    case frozen
    case down
  }

  let port: UInt16
  /// The address it leaves from, by which others know one from another.
  let external: String
  private let start: @Sendable () throws -> any Peer
  /// All that it has been; the last is it, unless it is down.
  private let lives: Recorder<any Peer>
  private let current = Locked(State.up)

  /// - Parameter start: starts it at the port, leaving from the address.
  init(
    external: String, _ start: @escaping @Sendable (_ port: UInt16, _ external: String) throws -> any Peer
  ) throws {
    let port = FreePort.take()
    self.port = port
    self.external = external
    self.start = { try start(port, external) }
    lives = Recorder()
    lives.record(try start(port, external))
  }

  var address: String { "127.0.0.1:\(port)" }

  var state: State { current.withLock { $0 } }

  func freeze() {
    lives.all.last?.process.signal(SIGSTOP)
    current.withLock { $0 = .frozen }
  }

  func kill() throws {
    lives.all.last?.process.signal(SIGKILL)
    _ = try lives.all.last?.process.wait()
    current.withLock { $0 = .down }
  }

  func revive() throws {
    switch state {
    case .up: return
    case .frozen: lives.all.last?.process.signal(SIGCONT)
    case .down: lives.record(try start())
    }
    current.withLock { $0 = .up }
  }

  /// Everything it ever said.
  var log: [String] { lives.all.flatMap(\.process.lines.all) }
}

/// A SOCKS5 proxy that resets its connections when it is killed. The kernel ends those of others as if all had been said.
final class ResettingHop: Peer {
  let process: ChildProcess

  init(on port: UInt16, external: String) throws {
    let script = """
      import select, socket, struct, threading

      def linger(s, on): s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))

      def exactly(s, count):
        data = s.recv(count, socket.MSG_WAITALL)
        if len(data) < count: raise EOFError
        return data

      def relay(client, target):
        sinks = {client: target, target: client}
        while sinks:
          for source in select.select(list(sinks), [], [])[0]:
            data = source.recv(65536)
            if data: sinks[source].sendall(data)
            else: sinks.pop(source).shutdown(socket.SHUT_WR)

      def serve(client):
        with client, socket.socket() as target:
          linger(client, 1)
          linger(target, 1)
          try:
            exactly(client, exactly(client, 2)[1])
            client.sendall(b"\\x05\\x00")
            head = exactly(client, 10)
            target.bind(("\(external)", 0))
            target.connect((socket.inet_ntoa(head[4:8]), int.from_bytes(head[8:], "big")))
            client.sendall(b"\\x05\\x00\\x00\\x01" + bytes(6))
            relay(client, target)
          except (OSError, EOFError):
            return
          linger(client, 0)
          linger(target, 0)

      listener = socket.create_server(("127.0.0.1", \(port)), backlog=1024)
      print("it listens", flush=True)
      while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
      """
    process = try ChildProcess(try Program("python3", package: "python3"), ["-c", script])
    try process.line(containing: "it listens")
  }
}
