import Addresses
import Config
import Routing
import Settings
import Testing

/// Hashes of the password `x`.
let hash6 =
  "$6$saltsalt$8RWsOfwR6M6PpnoeQiEiWzNTPo1f0HjVYjDnLZhGx16aBFRkeqiHAzfXP/LgrOWMBMXqiU2pLrXsSOHNUyUm91"
let hash5 = "$5$salt$eC8iHMk0B/acxRGi4idWiCK/.xXHLUsxovn4V591t3."

/// A table with every key there is.
let fullExample = """
  listen:
    - 127.0.0.1:1080
    - unix:/run/sockeye.sock
    - address: 0.0.0.0:1081
      name: office
      users:
        alice: \(hash6)
        bob: correct-horse
        file: users
      auth: required
      protocols: [socks5]
      udp: {advertise: 192.0.2.7, ports: 40000-40100, filtering: endpoint-independent}
      bind: {advertise: "2001:db8::7", ports: 40000}
    - {address: "[::]:1082", clients: [10.0.0.0/8, "fc00::/7"], auth: optional, protocols: socks4, udp: false}
    - {address: 0.0.0.0:1083, open: true, auth: none, bind: false, udp: {ports: 9}}

  upstreams:
    office: socks5://alice:${OFFICE_PASSWORD}@proxy.office.example:1080
    tor: {url: "socks5h://127.0.0.1:9050", isolate: {by: [client, destination], for: 5m}}
    far:
      url: socks5://[2001:db8::1]:1080/
      username: carol
      password_file: /secrets/far
      timeout: 3s
      resolve: local
    near:
      url: socks5://10.0.0.9:1080
      username: dave
      password: "a: b"
      udp: no
    old: socks4://dave@10.0.0.8:1080
    older: {url: socks4a://10.0.0.7:1080, username: erin}

  chains:
    abroad: [office, tor]
    tour: {hops: [near, abroad], mode: strict}

  routes:
    - domain: corp.example
      via: office
      name: corp
      note: for the office
      timeout: 5s
      idle: 10m
    - {domain: [.onion, Exit.Example.], via: tor}
    - {host: [www.example.com, "*.cdn.example", "/^ads[0-9]+[.]/"], via: reject}
    - {ip: [10.0.0.0/8, 192.168.0.1, "fc00::/7"], via: direct}
    - {port: [25, 6000-6063], via: drop}
    - {network: udp, via: reject}
    - {command: bind, via: reject}
    - {client: 192.168.7.0/24, user: [alice, bob], listener: [office, "127.0.0.1:1080"], via: abroad}
    - {any: [{port: 22}, {all: [{port: 80}, {not: {domain: example.com}}]}], via: tour, udp: reject}
    - {domain: example.net, via: [far, abroad]}
    - {domain: example.edu, via: [old, older], udp: [far, abroad]}

  default: [office, tor]
  hosts: {dev.example: 127.0.0.1, "*.test": ["::1", 127.0.0.1]}
  dns: {servers: [9.9.9.9, "10.0.0.1:5353", "[2620:fe::fe]:53"], cache: 500}

  tests:
    - {to: "wiki.corp.example:443", expect: office}
    - {to: "10.1.2.3:22", expect: direct}
    - {to: "example.net:1", expect: [far, office, tor]}
    - {to: "a.example:80", expect: tour}
    - {to: "a.example:443", client: 192.168.7.9, user: bob, listener: office, expect: abroad}
    - {to: "a.example:53", network: udp, expect: reject}
    - {to: "a.example:443", command: bind, expect: reject}

  timeouts: {handshake: 5s, dns: 1500ms, dial: 20s, idle: 1h, half_closed: 2m, udp_idle: 3m, bind: 40s, drain: 0s}
  limits: {connections: 100, per_client: 10, handshakes: 20, associations: 30, paths_per_association: 40}
  log: {level: debug, format: json}
  control: unix:/run/sockeye/control.sock
  """

let fullExampleFiles = ["users": "# staff\n\ncarol:\(hash5)\r\n", "/secrets/far": "s3cret\n"]
let fullExampleVariables = ["OFFICE_PASSWORD": "p@ss"]

@Suite struct ContractTests {
  @Test func `a table with every key is read`() throws {
    let result = load(fullExample, files: fullExampleFiles, variables: fullExampleVariables)
    #expect(result.diagnostics.map(\.description) == [])
    let configuration = try #require(result.configuration)

    #expect(
      configuration.listeners == [
        Listener(
          address: .tcp(SocketAddress(.loopback4, port: 1080)), id: ListenerID(address: "127.0.0.1:1080")),
        Listener(
          address: .unix(path: "/run/sockeye.sock"), id: ListenerID(address: "unix:/run/sockeye.sock")),
        Listener(
          address: .tcp(SocketAddress(.unspecified4, port: 1081)),
          id: ListenerID(address: "0.0.0.0:1081", name: "office"),
          users: [
            User(name: Array("alice".utf8), secret: .hash(hash6)),
            User(name: Array("bob".utf8), secret: .password(Array("correct-horse".utf8))),
            User(name: Array("carol".utf8), secret: .hash(hash5)),
          ], authentication: .required, protocols: [.socks5],
          udp: Listener.UDPService(
            advertise: .v4(0xc000_0207), ports: 40000...40100, filtering: .endpointIndependent),
          bind: Listener.BindService(advertise: IPAddress("2001:db8::7"), ports: 40000...40000)),
        Listener(
          address: .tcp(SocketAddress(.unspecified6, port: 1082)), id: ListenerID(address: "[::]:1082"),
          clients: ["10.0.0.0/8", "fc00::/7"].compactMap { Prefix($0) }, authentication: .optional,
          protocols: [.socks4], udp: nil),
        Listener(
          address: .tcp(SocketAddress(.unspecified4, port: 1083)), id: ListenerID(address: "0.0.0.0:1083"),
          udp: Listener.UDPService(ports: 9...9), bind: nil),
      ])

    let office = Upstream(
      name: "office", endpoint: try #require(Endpoint("proxy.office.example:1080")),
      credentials: Credentials(username: Array("alice".utf8), password: Array("p@ss".utf8)))
    let tor = Upstream(
      name: "tor", endpoint: try #require(Endpoint("127.0.0.1:9050")),
      isolation: Isolation(by: [.client, .destination], for: .seconds(300)))
    let far = Upstream(
      name: "far", endpoint: try #require(Endpoint("[2001:db8::1]:1080")),
      credentials: Credentials(username: Array("carol".utf8), password: Array("s3cret".utf8)),
      timeout: .seconds(3), resolution: .local)
    let near = Upstream(
      name: "near", endpoint: try #require(Endpoint("10.0.0.9:1080")),
      credentials: Credentials(username: Array("dave".utf8), password: Array("a: b".utf8)), udp: .no)
    let old = Upstream(
      name: "old", kind: .socks4, endpoint: try #require(Endpoint("10.0.0.8:1080")),
      credentials: Credentials(username: Array("dave".utf8), password: []), udp: .no)
    let older = Upstream(
      name: "older", kind: .socks4a, endpoint: try #require(Endpoint("10.0.0.7:1080")),
      credentials: Credentials(username: Array("erin".utf8), password: []), udp: .no)
    #expect(configuration.upstreams == [office, tor, far, near, old, older])
    #expect(configuration.control == "/run/sockeye/control.sock")
    #expect(configuration.table.fallback == .chain(Chain([office, tor])))
    #expect(
      configuration.table.routes.map(\.outcome) == [
        .chain(Chain([office])), .chain(Chain([tor])), .reject, .direct, .drop, .reject, .reject,
        .chain(Chain([office, tor])), .chain(Chain([near, office, tor])), .chain(Chain([far, office, tor])),
        .chain(Chain([old, older])),
      ])
    #expect(
      configuration.table.routes.compactMap(\.udp) == [.reject, .chain(Chain([far, office, tor]))])
    let route = configuration.table.routes[0]
    #expect(route.name == "corp")
    #expect(route.note == "for the office")
    #expect(route.timeout == .seconds(5))
    #expect(route.idle == .seconds(600))
    #expect(route.source == SourceLine(file: "t.yaml", line: 39))

    #expect(configuration.hosts.addresses(for: try DomainName("dev.example")) == [.loopback4])
    #expect(configuration.hosts.addresses(for: try DomainName("a.b.test")) == [.loopback6, .loopback4])
    #expect(
      configuration.nameServers.servers.map(\.description) == [
        "9.9.9.9:53", "10.0.0.1:5353", "[2620:fe::fe]:53",
      ])
    #expect(configuration.nameServers.cacheCapacity == 500)
    #expect(configuration.timeouts.handshake == .seconds(5))
    #expect(configuration.timeouts.dns == .milliseconds(1500))
    #expect(configuration.timeouts.dial == .seconds(20))
    #expect(configuration.timeouts.idle == .seconds(3600))
    #expect(configuration.timeouts.halfClosed == .seconds(120))
    #expect(configuration.timeouts.udpIdle == .seconds(180))
    #expect(configuration.timeouts.bind == .seconds(40))
    #expect(configuration.timeouts.drain == .zero)
    #expect(configuration.limits.connections == 100)
    #expect(configuration.limits.perClient == 10)
    #expect(configuration.limits.handshakes == 20)
    #expect(configuration.limits.associations == 30)
    #expect(configuration.limits.pathsPerAssociation == 40)
    #expect(configuration.log.level == .debug)
    #expect(configuration.log.format == .json)
  }

  @Test func `the smallest table takes every default`() throws {
    let result = load("default: direct")
    let configuration = try #require(result.configuration)
    #expect(result.diagnostics.isEmpty)
    #expect(
      configuration.listeners == [
        Listener(
          address: .tcp(SocketAddress(.loopback4, port: 1080)), id: ListenerID(address: "127.0.0.1:1080"))
      ])
    #expect(configuration.table.routes.isEmpty)
    #expect(configuration.table.fallback == .direct)
    #expect(configuration.timeouts == Timeouts())
    #expect(configuration.limits == Limits())
    #expect(configuration.log == Log())
    #expect(configuration.nameServers == NameServers())
    #expect(configuration.hosts == HostOverrides())
  }
}
