import Routing
import Transport
import Wire

/// A hop that is connected to, through those before it, and has admitted us: it waits for a request.
struct ReachedHop: ~Copyable {
  var hop: Hop
  /// The chain that it is a hop of.
  let chain: Chain
  var stream: TCPStream
  /// What was sent and nobody has taken yet.
  var input: [UInt8] = []
  /// What is still to be sent. Unless the hops are pipelined, it is empty whenever a hop is reached.
  var flight = Flight()
  /// The method that a hop was the last to choose.
  var method: SOCKS5.Method?
  /// When it was reached.
  var since = Deadline.now
  /// When the phase began that is not over yet.
  var phaseStart: Deadline?
  /// It waited for a request in a tunnel at rest.
  var isWarm = false

  init(_ hop: Hop, of chain: Chain, over stream: consuming TCPStream) {
    self.hop = hop
    self.chain = chain
    self.stream = stream
  }

  /// Takes in what has arrived.
  mutating func read(until deadline: Deadline) async throws(Failure) {
    let isOpen: Bool
    do {
      isOpen = try await stream.read(into: &input, until: deadline)
    } catch {
      throw Failure(hop.place, .request, Failure.Cause(error, on: stream))
    }
    guard isOpen else { throw Failure(hop.place, .request, .closed) }
  }
}
