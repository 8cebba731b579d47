/// What is measured.
enum Figure: String, CaseIterable {
  /// New tunnels, 64 at once.
  case tunnels
  /// New tunnels, one after another.
  case single
  /// New tunnels through one upstream, 64 at once.
  case chain
  /// The same, one after another.
  case chainSingle = "chain-single"
  /// Bulk, one stream and eight, towards the client and away from it.
  case down1, down8, up1, up8
  /// 64 bytes there and back, over 64 tunnels.
  case roundTrips = "round-trips"
  /// A fresh process: how soon it listens, and what it holds then and with 5,000 idle tunnels.
  case rest
  /// Datagrams there and back, through one association and through 32: of 64 octets and of 1,200.
  case echo1 = "udp-1-64"
  case echo1Large = "udp-1-1200"
  case echo32 = "udp-32-64"
  case echo32Large = "udp-32-1200"
  /// The same of 64 octets through 32 associations and two hops behind the contender.
  case echoHops = "udp-hops"
  /// Datagrams of 1,200 octets at a fixed rate that all can keep up with: how many are lost.
  case paced = "udp-paced"
  /// What a fresh process holds with 1,000 associations that have each passed one datagram there and back.
  case associations = "udp-rest"
  /// How fast a large table is read and asked.
  case verdicts
}

/// One number of a measurement.
enum Quantity {
  /// A second: tunnels, bytes, round trips or verdicts.
  case rate
  /// Seconds of processor time of the proxy, for one of them.
  case processor
  /// Seconds.
  case median, percentile99, start, load
  /// Of all that were sent.
  case lost
  /// Bytes.
  case resident, perTunnel
}

typealias Sample = [Quantity: Double]

/// All samples, in the order of the rounds.
struct Results {
  private var samples: [Figure: [String: [Sample]]] = [:]
  /// In the order in which they were first measured.
  private var names: [String] = []

  mutating func add(_ sample: Sample, of name: String, to figure: Figure) {
    samples[figure, default: [:]][name, default: []].append(sample)
    if !names.contains(name) { names.append(name) }
  }

  /// Those that were measured in one of the figures.
  func names(of figures: Figure...) -> [String] {
    names.filter { name in figures.contains { samples[$0]?[name] != nil } }
  }

  func series(_ quantity: Quantity, of name: String, in figure: Figure) -> [Double] {
    samples[figure]?[name]?.compactMap { $0[quantity] } ?? []
  }

  func median(_ quantity: Quantity, of name: String, in figure: Figure) -> Double? {
    series(quantity, of: name, in: figure).median
  }

  /// The median of the rounds' ratios: what drifts from round to round drifts for both.
  func ratio(_ quantity: Quantity, of name: String, to other: String, in figure: Figure) -> Double? {
    zip(series(quantity, of: name, in: figure), series(quantity, of: other, in: figure)).map { $0 / $1 }
      .median
  }
}

extension [Double] {
  var median: Double? {
    let sorted = sorted()
    guard !sorted.isEmpty else { return nil }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
