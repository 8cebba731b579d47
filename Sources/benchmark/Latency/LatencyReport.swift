/// How long tunnels took, beside the round trip of their path.
struct LatencyReport: CustomStringConvertible {
  let plan: LatencyPlan
  let results: [(lane: Lane, times: [Visit.Times])]

  var description: String {
    (1...Nodes.hops).compactMap { table(hops: $0)?.markdown }.joined(separator: "\n")
  }

  private func table(hops: Int) -> Table? {
    let path = plan.pathRoundTrip(hops: hops)
    let title =
      "\(hops) \(hops == 1 ? "hop" : "hops"), \(plan.roundTrip) ms a link, path round trip "
      + "\(Table.number(path, scale: 1e3)) ms"
    return Table(
      title,
      columns: [
        "", "hops", "success p50 ms", "p95 ms", "p50 × round trip", "first byte p50 ms", "p95 ms",
        "p50 × round trip",
      ],
      rows: results.filter { $0.lane.hops.count == hops }.map { lane, times in
        [lane.chainer.name, lane.hopNames]
          + cells(times.map(\.opened), path: path) + cells(times.map(\.answered), path: path)
      })
  }

  private func cells(_ seconds: [Double], path: Double) -> [String] {
    [
      Table.number(seconds.median, scale: 1e3, digits: 1),
      Table.number(seconds.percentile95, scale: 1e3, digits: 1),
      Table.number(seconds.median.map { $0 / path }, digits: 2),
    ]
  }
}

extension [Double] {
  var percentile95: Double? {
    isEmpty ? nil : sorted()[(count - 1) * 95 / 100]
  }
}
