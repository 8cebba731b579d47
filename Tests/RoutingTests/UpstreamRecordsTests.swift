import Addresses
import TLS
import Testing

@testable import Routing

/// What is remembered of upstreams over reloads.
@Suite struct UpstreamRecordsTests {
  private let upstream = Upstream(name: "a", endpoint: Endpoint(.loopback4, port: 1))

  private func changed(_ change: (inout Upstream) -> Void) -> Upstream {
    var copy = upstream
    change(&copy)
    return copy
  }

  @Test
  func `another proxy is one with another name, protocol, address, user or TLS, and not with other settings`()
    throws
  {
    let credentials = Credentials(username: [1], password: [2])
    for other in [
      changed { $0.name = "b" }, changed { $0.kind = .http }, changed { $0.endpoint.port = 2 },
      changed { $0.endpoint.host = .address(.loopback6) }, changed { $0.credentials = credentials },
      changed { $0.isolation = Isolation(by: [.user]) }, changed { $0.resolution = .local },
      changed { $0.tls = try? TLSContext(TLSContext.Demands()) },
    ] {
      #expect(!upstream.isSameProxy(as: other) && !other.isSameProxy(as: upstream))
    }
    for same in [
      upstream, changed { $0.timeout = .seconds(1) }, changed { $0.udp = .no }, changed { $0.pipeline = .no },
    ] {
      #expect(upstream.isSameProxy(as: same))
    }
    // What is dialled has the credentials of an identity.
    let isolated = changed { $0.isolation = Isolation(by: [.user]) }
    var dialled = isolated
    dialled.credentials = credentials
    #expect(dialled.isSameProxy(as: isolated))
  }

  @Test func `what is known of a proxy is not known of another by its name`() {
    var records = UpstreamRecords { _ in 0 }
    let moved = changed { $0.endpoint.port = 2 }
    records.update(upstream) { $0 += 1 }
    #expect(records[upstream] == 1 && records[moved] == 0)
    // Until a reload, the name is the first one's.
    records.update(moved) { $0 += 10 }
    #expect(records[upstream] == 1 && records[moved] == 0)
    records.keep([moved]) { _ in true }
    records.update(upstream) { $0 += 1 }
    #expect(records[upstream] == 0 && records[moved] == 0)
    records.update(moved) { $0 += 10 }
    records.keep([changed { ($0.endpoint.port, $0.timeout) = (2, .seconds(1)) }])
    #expect(records[moved] == 10)
    records.keep([]) { $0 > 0 }
    #expect(records[moved] == 10)
    records.keep([])
    #expect(records[moved] == 0)
  }
}
