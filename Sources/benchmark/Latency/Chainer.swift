/// What opens a tunnel through hops, in the client's namespace.
struct Chainer {
  enum Means {
    /// The kernel's forwarding, without hops: what is due to the distance alone.
    case forwarding
    case proxychains
    /// Serving a table with this `warm`, and a `pipeline` that is `no` or, for hops that stand it, `yes`; without them,
    /// as Sockeye is without a word of it.
    case sockeye(pipelines: Bool? = nil, warm: Int? = nil)
  }

  let name: String
  let means: Means

  static let all = [
    Chainer(name: "direct", means: .forwarding),
    Chainer(name: "proxychains4", means: .proxychains),
    Chainer(name: "sockeye, cold", means: .sockeye(pipelines: false, warm: 0)),
    Chainer(name: "sockeye, pipelined", means: .sockeye(pipelines: true, warm: 0)),
    Chainer(name: "sockeye, warm", means: .sockeye(warm: 2)),
  ]

  var isInstalled: Bool {
    if case .proxychains = means { ChildProcess.isInstalled("proxychains4") } else { true }
  }

  static func proxychainsConfiguration(through hops: [HopServer]) -> String {
    let list = hops.enumerated().map { "socks5 \(Nodes.address(of: $0 + 1)) \($1.port)" }
    return (["strict_chain", "[ProxyList]"] + list).joined(separator: "\n") + "\n"
  }

  static func table(
    listeningOn port: UInt16, through hops: [HopServer], pipelines: Bool?, warm: Int?
  ) -> String {
    let upstreams = hops.enumerated().map { index, hop in
      let url = "url: \"socks5://\(Nodes.address(of: index + 1)):\(hop.port)\""
      let pipeline = pipelines.map { ", pipeline: \($0 && hop.standsPipelining ? "yes" : "no")" } ?? ""
      return "  hop\(index + 1): {\(url)\(pipeline)}"
    }
    let names = "[\((1...hops.count).map { "hop\($0)" }.joined(separator: ", "))]"
    let chain = "{hops: \(names)\(warm.map { ", warm: \($0)" } ?? "")}"
    return """
      listen: 127.0.0.1:\(port)
      upstreams:
      \(upstreams.joined(separator: "\n"))
      chains:
        path: \(chain)
      default: path
      """
  }
}

/// A row of the report: who opens a tunnel, and through which hops.
struct Lane {
  let chainer: Chainer
  /// As many as the path has; the direct way passes them by.
  let hops: [HopServer]

  /// Of each chainer: through hops of each kind, and through different ones.
  static func all(of length: Int, through servers: [HopServer]) -> [Lane] {
    let alike = servers.map { Array(repeating: $0, count: length) }
    let mixed = length > 1 ? [(0..<length).map { servers[$0 % servers.count] }] : []
    let hops = servers.count > 1 ? alike + mixed : alike
    return Chainer.all.filter(\.isInstalled).flatMap { chainer in
      switch chainer.means {
      case .forwarding: [Lane(chainer: chainer, hops: hops[0])]
      case .proxychains, .sockeye: hops.map { Lane(chainer: chainer, hops: $0) }
      }
    }
  }

  /// For the report; of the direct way none.
  var hopNames: String {
    if case .forwarding = chainer.means { return "–" }
    return Set(hops).count == 1 ? hops[0].rawValue : hops.map(\.rawValue).joined(separator: ", ")
  }
}

extension Lane: CustomStringConvertible {
  var description: String { "\(chainer.name) through \(hops.map(\.rawValue).joined(separator: ", "))" }
}
