/// What it took to connect to each hop of a way and to be admitted.
///
/// A way may be dialled several times at once, as it is for datagrams, and hops are dialled again by each: only the first
/// value of each phase of a hop counts. Otherwise what a client asks for would make a hop look slow to all.
struct HopLatencies {
  private struct Hop {
    var connect: Double?
    var tls: Double?
    var greet: Double?
    var authenticate: Double?
  }

  private var hops: [Hop] = []

  /// Notes how long a phase took, if it belongs to that and is the hop's first.
  mutating func note(_ phase: Failure.Phase, _ duration: Duration, ofHop index: Int) {
    while hops.count <= index { hops.append(Hop()) }
    switch phase {
    case .connect: Self.set(&hops[index].connect, duration)
    case .tls: Self.set(&hops[index].tls, duration)
    case .greet: Self.set(&hops[index].greet, duration)
    case .authenticate: Self.set(&hops[index].authenticate, duration)
    case .resolve, .request, .associate, .accept, .relay: break
    }
  }

  private static func set(_ value: inout Double?, _ duration: Duration) {
    if value == nil { value = duration / .nanoseconds(1) }
  }

  /// By hop, in nanoseconds; `nil` of a hop that was not connected to.
  var sums: [Double?] {
    hops.map { hop in
      hop.connect.map { $0 + (hop.tls ?? 0) + (hop.greet ?? 0) + (hop.authenticate ?? 0) }
    }
  }
}
