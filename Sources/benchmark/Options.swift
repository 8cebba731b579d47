/// What is to be measured, how often and how long.
struct Plan {
  var rounds = 5
  /// How long one measurement of one contender lasts.
  var duration = Duration.seconds(1)
  var figures = Figure.allCases
  var peers: [Contender] = []
}

/// The command line.
enum Options {
  case help
  case measure(Plan)
  case latency(LatencyPlan)
  /// The child that answers the tunnels.
  case targets(Targets)
  /// The child that opens one tunnel.
  case visit(Visit)

  struct Mistake: Error {
    var text: String
  }

  static let usage = """
    usage: swift run -c release benchmark [OPTIONS]
           swift run -c release benchmark latency [--rounds N] [--delay TIME] [--failover]

      --rounds N         how often each figure is measured; medians are printed (5)
      --seconds S        how long one measurement lasts (1)
      --only FIGURE      measure this figure only; may be repeated:
                         \(Figure.allCases.map(\.rawValue).joined(separator: ", "))
      --peer NAME=COMMAND
                         measure this SOCKS5 server too; may be repeated. In the command, which a shell runs,
                         {port} is the port of 127.0.0.1 to listen on, and {upstream} that of the SOCKS5 server to
                         go through: a command that names one is measured in 'chain' only. One that names {second}
                         too is measured in 'udp-hops' only, and sends datagrams through both
      --help             this text

    microsocks and danted are measured where they are installed:
      apt-get install microsocks dante-server

    'latency' opens tunnels through one, two and three hops that lie apart, in network namespaces of its own: as root. It
    measures proxychains4 too where it is installed. Then it lets one of three exits die and return while clients come.

      --rounds N         how often each tunnel is opened (20)
      --delay TIME       the round-trip time of each link (40ms)
      --failover         the exits only

    Example: swift run -c release benchmark --rounds 3 --only tunnels --peer 'hev=hev-socks5-server hev-{port}.yml'
    """

  init(_ arguments: some Sequence<String>) throws(Mistake) {
    var rest = Array(arguments)[...]
    switch rest.first {
    case "latency":
      self = rest.contains("--help") ? .help : .latency(try LatencyPlan(rest.dropFirst()))
      return
    case "targets":
      guard let targets = Targets(rest.dropFirst()) else {
        throw Mistake(text: "'targets' wants an address and a port for each target")
      }
      self = .targets(targets)
      return
    case "visit":
      guard let visit = Visit(rest.dropFirst()) else {
        throw Mistake(text: "'visit' wants an address and a port, or two of each")
      }
      self = .visit(visit)
      return
    default: break
    }
    var plan = Plan()
    var only: [Figure] = []
    while let option = rest.popFirst() {
      if option == "--help" {
        self = .help
        return
      }
      guard ["--rounds", "--seconds", "--only", "--peer"].contains(option) else {
        throw Mistake(text: "there is no option '\(option)'")
      }
      guard let value = rest.popFirst() else { throw Mistake(text: "\(option) needs a value") }
      switch option {
      case "--rounds":
        guard let rounds = Int(value), rounds > 0 else {
          throw Mistake(text: "--rounds wants a number above 0")
        }
        plan.rounds = rounds
      case "--seconds":
        guard let seconds = Double(value), (0.1...600).contains(seconds) else {
          throw Mistake(text: "--seconds wants a number of 0.1 to 600")
        }
        plan.duration = .seconds(seconds)
      case "--only":
        guard let figure = Figure(rawValue: value) else {
          throw Mistake(text: "there is no figure '\(value)'")
        }
        only.append(figure)
      default:
        guard let equals = value.firstIndex(of: "="), equals > value.startIndex else {
          throw Mistake(text: "--peer wants NAME=COMMAND")
        }
        plan.peers.append(
          .peer(String(value[..<equals]), command: String(value[value.index(after: equals)...])))
      }
    }
    if !only.isEmpty { plan.figures = Figure.allCases.filter(only.contains) }
    self = .measure(plan)
  }
}
