import Addresses

@testable import Routing

/// Upstreams as the tests of choices have them: `a` is at `a.test`.
extension Standings {
  subscript(name: String) -> Standing { self[Self.upstream(name)] }

  mutating func update(_ name: String, _ change: (inout Standing) -> Void) {
    if name == Way.direct.description { return }
    update(Self.upstream(name), change)
  }

  private static func upstream(_ name: String) -> Upstream {
    let host = (try? DomainName("\(name).test")).map { Host.name($0) } ?? .address(.unspecified4)
    return Upstream(name: name, endpoint: Endpoint(host, port: 1080))
  }
}
