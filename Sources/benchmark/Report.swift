/// The results as Markdown tables.
struct Report: CustomStringConvertible {
  private let results: Results

  init(_ results: Results) {
    self.results = results
  }

  var description: String {
    let tables = [
      tunnels("New tunnels", .tunnels, single: .single, against: Contender.bareSOCKS),
      tunnels("New tunnels through one upstream", .chain, single: .chainSingle, against: Contender.bareSOCKS),
      bulk("Bulk towards the client", one: .down1, eight: .down8),
      bulk("Bulk from the client", one: .up1, eight: .up8),
      roundTrips(
        "64 bytes there and back, over 64 tunnels", .roundTrips, unit: "round trips",
        against: Contender.bareCopy),
      rest,
      echo("Datagrams of 64 octets there and back, one association", .echo1),
      echo("Datagrams of 1,200 octets there and back, one association", .echo1Large),
      echo("Datagrams of 64 octets there and back, 32 associations", .echo32),
      echo("Datagrams of 1,200 octets there and back, 32 associations", .echo32Large),
      echo("Datagrams of 64 octets there and back, 32 associations through two hops", .echoHops),
      paced,
      associations,
      verdicts,
      Reach(results).table,
    ]
    return tables.compactMap { $0?.markdown }.joined(separator: "\n")
  }

  private func tunnels(_ title: String, _ figure: Figure, single: Figure, against base: String) -> Table? {
    Table(
      title,
      columns: [
        "", "tunnels/s, 64 at once", "proxy CPU µs each", "× \(base)", "p99 ms", "one at a time p50 µs",
        "p99 µs",
      ],
      rows: results.names(of: figure, single).map { name in
        [
          name,
          Table.number(results.median(.rate, of: name, in: figure)),
          Table.number(results.median(.processor, of: name, in: figure), scale: 1e6, digits: 1),
          Table.number(results.ratio(.processor, of: name, to: base, in: figure), digits: 2),
          Table.number(results.median(.percentile99, of: name, in: figure), scale: 1e3, digits: 1),
          Table.number(results.median(.median, of: name, in: single), scale: 1e6),
          Table.number(results.median(.percentile99, of: name, in: single), scale: 1e6),
        ]
      })
  }

  private func bulk(_ title: String, one: Figure, eight: Figure) -> Table? {
    let base = Contender.bareSOCKS
    return Table(
      title,
      columns: [
        "", "one stream GB/s", "× \(base)", "CPU s/GB", "eight GB/s", "× \(base)", "CPU s/GB", "× \(base)",
      ],
      rows: results.names(of: one, eight).map { name in
        [
          name,
          Table.number(results.median(.rate, of: name, in: one), scale: 1e-9, digits: 2),
          Table.number(results.ratio(.rate, of: name, to: base, in: one), digits: 2),
          Table.number(results.median(.processor, of: name, in: one), scale: 1e9, digits: 2),
          Table.number(results.median(.rate, of: name, in: eight), scale: 1e-9, digits: 2),
          Table.number(results.ratio(.rate, of: name, to: base, in: eight), digits: 2),
          Table.number(results.median(.processor, of: name, in: eight), scale: 1e9, digits: 2),
          Table.number(results.ratio(.processor, of: name, to: base, in: eight), digits: 2),
        ]
      })
  }

  private func roundTrips(_ title: String, _ figure: Figure, unit: String, against base: String) -> Table? {
    Table(
      title,
      columns: ["", "\(unit)/s", "proxy CPU µs each", "× \(base)", "p50 µs", "p99 µs"],
      rows: results.names(of: figure).map { name in
        [
          name,
          Table.number(results.median(.rate, of: name, in: figure)),
          Table.number(results.median(.processor, of: name, in: figure), scale: 1e6, digits: 1),
          Table.number(results.ratio(.processor, of: name, to: base, in: figure), digits: 2),
          Table.number(results.median(.median, of: name, in: figure), scale: 1e6),
          Table.number(results.median(.percentile99, of: name, in: figure), scale: 1e6),
        ]
      })
  }

  private func echo(_ title: String, _ figure: Figure) -> Table? {
    roundTrips(title, figure, unit: "echoes", against: Contender.bareSOCKS)
  }

  private var paced: Table? {
    let base = Contender.bareSOCKS
    return Table(
      "\(Table.number(Double(Measurement.offeredRate))) datagrams/s of 1,200 octets, 32 associations",
      columns: ["", "lost of a million", "proxy CPU µs each", "× \(base)"],
      rows: results.names(of: .paced).map { name in
        [
          name,
          Table.number(results.median(.lost, of: name, in: .paced), scale: 1e6),
          Table.number(results.median(.processor, of: name, in: .paced), scale: 1e6, digits: 1),
          Table.number(results.ratio(.processor, of: name, to: base, in: .paced), digits: 2),
        ]
      })
  }

  private var associations: Table? {
    Table(
      "Idle associations",
      columns: ["", "bytes each, of \(Table.number(Double(Measurement.idleAssociations)))"],
      rows: results.names(of: .associations).map { name in
        [name, Table.number(results.median(.perTunnel, of: name, in: .associations))]
      })
  }

  private var rest: Table? {
    Table(
      "At rest",
      columns: ["", "start to listening ms", "resident MB", "bytes per idle tunnel, of 5,000"],
      rows: results.names(of: .rest).map { name in
        [
          name,
          Table.number(results.median(.start, of: name, in: .rest), scale: 1e3, digits: 1),
          Table.number(results.median(.resident, of: name, in: .rest), scale: 1e-6, digits: 1),
          Table.number(results.median(.perTunnel, of: name, in: .rest)),
        ]
      })
  }

  private var verdicts: Table? {
    Table(
      "A table of 100,000 domains and 20,000 prefixes",
      columns: ["", "loaded in ms", "verdicts/s", "ns each"],
      rows: results.names(of: .verdicts).map { name in
        [
          name,
          Table.number(results.median(.load, of: name, in: .verdicts), scale: 1e3),
          Table.number(results.median(.rate, of: name, in: .verdicts)),
          Table.number(results.median(.rate, of: name, in: .verdicts).map { 1 / $0 }, scale: 1e9),
        ]
      })
  }
}

/// What was measured of Sockeye beside what it is meant to reach on two cores.
struct Reach {
  private let results: Results

  init(_ results: Results) {
    self.results = results
  }

  var table: Table? {
    let base = Contender.bareSOCKS
    let bulk: [(String, Figure)] = [
      ("one stream down", .down1), ("eight down", .down8), ("one stream up", .up1), ("eight up", .up8),
    ]
    let rows =
      bulk.map { what, figure in
        row("bulk, \(what), × \(base)", ratio(.rate, to: base, in: figure), .atLeast(0.95), digits: 2)
      }
      + bulk.map { what, figure in
        row("CPU s/GB, \(what), × \(base)", ratio(.processor, to: base, in: figure), .atMost(1.15), digits: 2)
      } + [
        row("CPU a tunnel, × \(base)", ratio(.processor, to: base, in: .tunnels), .atMost(1.2), digits: 2),
        row(
          "CPU a tunnel through one upstream, × \(base)", ratio(.processor, to: base, in: .chain),
          .atMost(1.25),
          digits: 2),
        row(
          "CPU a 64-byte round trip, × \(Contender.bareCopy)",
          ratio(.processor, to: Contender.bareCopy, in: .roundTrips), .atMost(1.15), digits: 2),
        row("bytes per idle tunnel", median(.perTunnel, in: .rest), .atMost(2000)),
        row("resident MB, idle", median(.resident, in: .rest).map { $0 / 1e6 }, .atMost(10), digits: 1),
        row("ms from start to listening", median(.start, in: .rest).map { $0 * 1e3 }, .atMost(20), digits: 1),
        row(
          "CPU an echo, one association, × \(base)", ratio(.processor, to: base, in: .echo1), .atMost(1.5),
          digits: 2),
        row(
          "CPU an echo, 32 associations, × \(base)", ratio(.processor, to: base, in: .echo32), .atMost(1.5),
          digits: 2),
        row(
          "CPU an echo, 20,000/s, × \(base)", ratio(.processor, to: base, in: .paced), .atMost(1.5), digits: 2
        ),
        row(
          "CPU an echo, one association, × dante", ratio(.processor, to: Contender.dante, in: .echo1),
          .atMost(0.4), digits: 2),
        row(
          "CPU an echo, 32 associations, × dante", ratio(.processor, to: Contender.dante, in: .echo32),
          .atMost(0.4), digits: 2),
        row("lost of a million at 20,000/s, beyond direct", lostBeyondDirect, .atMost(0)),
        row("bytes per idle association", median(.perTunnel, in: .associations), .atMost(4096)),
        row("ns a verdict, large table", median(.rate, in: .verdicts).map { 1e9 / $0 }, .atMost(1000)),
        row("ms to load the large table", median(.load, in: .verdicts).map { $0 * 1e3 }, .atMost(1000)),
      ]
    return Table("Reach", columns: ["figure", "sockeye", "reach", "met"], rows: rows.compactMap(\.self))
  }

  private func median(_ quantity: Quantity, in figure: Figure) -> Double? {
    results.median(quantity, of: Contender.sockeye, in: figure)
  }

  private var lostBeyondDirect: Double? {
    guard let lost = median(.lost, in: .paced),
      let direct = results.median(.lost, of: Contender.direct, in: .paced)
    else { return nil }
    return max(0, lost - direct) * 1e6
  }

  private func ratio(_ quantity: Quantity, to base: String, in figure: Figure) -> Double? {
    results.ratio(quantity, of: Contender.sockeye, to: base, in: figure)
  }

  private enum Bound {
    case atLeast(Double)
    case atMost(Double)
  }

  private func row(_ what: String, _ value: Double?, _ bound: Bound, digits: Int = 0) -> [String]? {
    guard let value else { return nil }
    let (sign, limit, isMet) =
      switch bound {
      case .atLeast(let limit): ("≥", limit, value >= limit)
      case .atMost(let limit): ("≤", limit, value <= limit)
      }
    let text = Table.number(limit, digits: digits)
    return [what, Table.number(value, digits: digits), "\(sign) \(text)", isMet ? "yes" : "no"]
  }
}

/// A Markdown table under its heading; none without rows.
struct Table {
  let markdown: String

  init?(_ title: String, columns: [String], rows: [[String]]) {
    guard !rows.isEmpty else { return nil }
    let lines = [columns, columns.map { _ in "---" }] + rows
    let body = lines.map { "| \($0.joined(separator: " | ")) |" }.joined(separator: "\n")
    markdown = "### \(title)\n\n\(body)\n"
  }

  /// With thousands set apart; a dash where nothing was measured.
  static func number(_ value: Double?, scale: Double = 1, digits: Int = 0) -> String {
    guard let value else { return "–" }
    var power = 1.0
    for _ in 0..<digits { power *= 10 }
    let whole = Int((value * scale * power).rounded().magnitude)
    var text = String(whole / Int(power))
    var index = text.endIndex
    while text.distance(from: text.startIndex, to: index) > 3 {
      index = text.index(index, offsetBy: -3)
      text.insert(",", at: index)
    }
    if digits > 0 {
      let fraction = String(whole % Int(power))
      text += "." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
    return value < 0 && whole > 0 ? "-" + text : text
  }
}
