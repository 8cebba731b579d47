import Addresses
import Routing
import Testing

@testable import Proxy
@testable import sockeye

/// What `status` prints.
@Suite struct StatusReportTests {
  private static func upstream(
    _ name: String, _ state: Status.Upstream.State, rest: Duration? = nil, latency: Duration? = nil,
    failures: [(phase: Failure.Phase, count: Int)] = [], lastFailure: (failure: Failure, age: Duration)? = nil
  ) -> Status.Upstream {
    Status.Upstream(
      name: name, scheme: "socks5", endpoint: "127.0.0.1:9050", state: state, rest: rest, latency: latency,
      connections: 2, warm: 4, successes: 17, failures: failures, lastFailure: lastFailure, pipelining: .yes)
  }

  private static func report(isDraining: Bool = false) -> StatusReport {
    let failure = Failure(.hop(0, of: 1, name: "de"), .connect, .system(.connectionRefused))
    return StatusReport(
      status: Status(
        uptime: .seconds(11_100), tableAge: .milliseconds(2300), isDraining: isDraining,
        listeners: [
          Status.Listener(address: "127.0.0.1:1080", name: nil, sessions: 3, total: 1204),
          Status.Listener(address: "unix:/run/s", name: "office", sessions: 0, total: 0),
        ],
        sessions: Status.Sessions(handshakes: 0, dials: 1, binds: 0, tunnels: 2, associations: 0),
        limits: [
          Status.Limit(name: "connections", value: 20_000, refused: 0),
          Status.Limit(name: "per_client", value: 256, refused: 844),
        ],
        upstreams: [
          upstream("tor", .up, latency: .milliseconds(41)),
          upstream(
            "de", .down, rest: .milliseconds(3200), failures: [(.connect, 2), (.request, 1)],
            lastFailure: (failure, .seconds(12))),
        ],
        groups: [
          Status.Group(
            name: "exits", strategy: .failover, members: [("de", false), ("tor,nl", true)], next: .direct),
          Status.Group(name: "dead", strategy: .random, members: [("de", false)], next: nil),
        ], warmChains: [Status.WarmChain(hops: ["tor", "nl"], ready: 3, wanted: 4)]),
      table: "/etc/sockeye.yaml")
  }

  @Test func `for people it is columns, with what is down in another color`() {
    let lines = Self.report().lines
    #expect(
      lines.map(\.text) == [
        "sockeye \(Sockeye.version)  up 3h5m  table /etc/sockeye.yaml, read 2.3s ago",
        "sessions  dials 1, tunnels 2",
        "",
        "LISTENER               NOW  EVER",
        "127.0.0.1:1080         3    1204",
        "unix:/run/s  (office)  0    0",
        "",
        "LIMIT       VALUE  REFUSED",
        "per_client  256    844",
        "",
        "UPSTREAM  STATE             LATENCY  NOW  WARM  PASSED  FAILED                    PIPELINED  LAST FAILURE",
        "tor       up                41ms     2    4     17      0                         yes        -",
        "de        down, rests 3.2s  -        2    4     17      3 (connect 2, request 1)  yes        connect: "
          + "connection refused, 12.0s ago",
        "",
        "GROUP  STRATEGY  TAKES NOW   MEMBERS",
        "exits  failover  direct      de (down), tor,nl",
        "dead   random    it depends  de (down)",
        "",
        "WARM CHAIN  READY  WANTED",
        "tor,nl      3      4",
      ])
    #expect(lines.enumerated().filter { $0.element.kind == .heading }.map(\.offset) == [0, 3, 7, 10, 14, 18])
    #expect(lines.enumerated().filter { $0.element.kind == .alarm }.map(\.offset) == [12, 16])
    #expect(Self.report(isDraining: true).lines[0].text.hasSuffix("  draining"))
  }

  @Test func `for programs it is one object`() {
    #expect(
      Self.report().json.description == """
        {"version":"\(Sockeye.version)","uptime":11100000,"table":"/etc/sockeye.yaml","read":2300,"draining":false,\
        "sessions":{"handshakes":0,"dials":1,"binds":0,"tunnels":2,"associations":0},\
        "listeners":[{"address":"127.0.0.1:1080","name":null,"now":3,"ever":1204},\
        {"address":"unix:/run/s","name":"office","now":0,"ever":0}],\
        "limits":[{"name":"connections","value":20000,"refused":0},\
        {"name":"per_client","value":256,"refused":844}],\
        "upstreams":[{"name":"tor","protocol":"socks5","endpoint":"127.0.0.1:9050","state":"up","rests":null,\
        "latency":41,"now":2,"warm":4,"passed":17,"failed":{},"pipelined":"yes","last_failure":null},\
        {"name":"de","protocol":"socks5","endpoint":"127.0.0.1:9050","state":"down","rests":3200,"latency":null,\
        "now":2,"warm":4,"passed":17,"failed":{"connect":2,"request":1},"pipelined":"yes",\
        "last_failure":{"phase":"connect","error":"connection refused","ago":12000}}],\
        "groups":[{"name":"exits","strategy":"failover","takes_now":"direct",\
        "members":[{"name":"de","up":false},{"name":"tor,nl","up":true}]},\
        {"name":"dead","strategy":"random","takes_now":null,"members":[{"name":"de","up":false}]}],\
        "warm_chains":[{"hops":["tor","nl"],"ready":3,"wanted":4}]}
        """)
  }
}
