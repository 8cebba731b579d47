import Addresses

@testable import Routing

// Tables in tests are written as an operator would write them; a literal that is no such value ends the test run.

extension DomainName: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) {
    guard let name = try? DomainName(text) else { preconditionFailure("\(text) is no name") }
    self = name
  }
}

extension Prefix: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) {
    guard let prefix = Prefix(text) else { preconditionFailure("\(text) is no prefix") }
    self = prefix
  }
}

extension HostPattern: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) {
    guard let pattern = try? HostPattern(text) else { preconditionFailure("\(text) is no host pattern") }
    self = pattern
  }
}

extension Outcome {
  /// A chain whose hops carry UDP as given.
  static func through(_ hops: Upstream.UDPSupport...) throws -> Outcome {
    .chain(
      Chain(
        try hops.enumerated().map { index, udp in
          let endpoint = Endpoint(.name(try DomainName("\(udp).test")), port: UInt16(index + 1))
          return Upstream(name: "\(udp)\(index)", endpoint: endpoint, udp: udp)
        }))
  }
}

extension SourceLine {
  static func test(_ line: Int) -> SourceLine { SourceLine(file: "test.yaml", line: line) }
}

extension Request {
  /// To `host:port`; without a port, to 443.
  init(_ destination: String, _ command: Command = .connect, client: IPAddress? = nil, user: String? = nil)
    throws
  {
    let endpoint = try Endpoint(destination) ?? Endpoint(Host(nameField: Array(destination.utf8)), port: 443)
    self.init(command, to: endpoint, client: client, user: user)
  }
}

extension RouteTable {
  /// Routes with these conditions and outcomes, on lines 1, 2, …; otherwise direct.
  init(_ routes: (Condition, Outcome)...) {
    self.init(
      routes: routes.enumerated().map { Route(condition: $1.0, outcome: $1.1, source: .test($0 + 1)) },
      fallback: .direct)
  }

  /// The line that decides; `nil`: the default.
  func line(for request: Request) -> Int? { verdict(for: request).route?.source.line }
}

extension RouteTable.Refuser {
  /// The line that refuses; 0: the default.
  var line: Int {
    switch self {
    case .route(let route): route.source.line
    case .fallback: 0
    }
  }
}
