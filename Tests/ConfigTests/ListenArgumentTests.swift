import Addresses
import Config
import Routing
import Settings
import Testing

@Suite struct ListenArgumentTests {
  @Test func `addresses of the command line replace the table's`() throws {
    let result = load("listen: 127.0.0.1:1\ndefault: direct", listen: ["127.0.0.1:0", "unix:/tmp/s"])
    let configuration = try #require(result.configuration)
    #expect(
      configuration.listeners.map(\.address) == [
        .tcp(SocketAddress(.loopback4, port: 0)), .unix(path: "/tmp/s"),
      ])
  }

  @Test(arguments: [
    (
      "x",
      "'x' is not an address to listen on, an IP address and a port or unix:/path (write it like 127.0.0.1:1080)"
    ),
    (
      "0.0.0.0:1080",
      "everyone who reaches 0.0.0.0:1080 could use it (write it into the table, with 'users' or 'clients')"
    ),
  ])
  func `they obey the same rules`(address: String, message: String) {
    let result = load("default: direct", listen: [address])
    #expect(result.configuration == nil)
    #expect(result.diagnostics.map(\.description) == ["--listen: error: \(message)"])
  }

  @Test func `a hop that is one of them is refused`() {
    let yaml = "upstreams: {a: \"socks5://127.0.0.1:1090\"}\ndefault: a"
    #expect(diagnostics(of: yaml) == [])
    #expect(diagnostics(of: yaml, listen: ["127.0.0.1:1090"]).count == 1)
  }

  /// Else routes and tests would be dead without a word.
  @Test(arguments: [
    ("routes: [{listener: office, via: reject}]", "2:21"),
    ("routes: [{listener: \"127.0.0.1:1\", via: reject}]", "2:21"),
    ("routes: [{not: {listener: office}, via: reject}]", "2:27"),
    ("tests: [{to: \"a.test:1\", listener: office, expect: direct}]", "2:36"),
  ])
  func `a listener that they replace is named nowhere`(line: String, place: String) {
    let table = "listen: {address: 127.0.0.1:1, name: office}\n\(line)\ndefault: direct"
    #expect(diagnostics(of: table) == [])
    let name = line.contains("office") ? "office" : "127.0.0.1:1"
    #expect(
      diagnostics(of: table, listen: ["127.0.0.1:0"]) == [
        "\(place): error: the listener '\(name)' is replaced by '--listen', so that this never holds"
          + " (leave out '--listen', or this 'listener')"
      ])
  }

  @Test func `one that has the same address keeps it`() {
    let table = "listen: 127.0.0.1:1\nroutes: [{listener: \"127.0.0.1:1\", via: reject}]\ndefault: direct"
    #expect(diagnostics(of: table, listen: ["127.0.0.1:1"]) == [])
  }

  @Test func `a private listener passes for the table's first`() throws {
    let table = """
      listen: [{address: "127.0.0.1:1", name: office, users: {a: b}}, {address: "127.0.0.1:2", name: lab}]
      upstreams: {own: "socks5://127.0.0.1:2"}
      routes: [{listener: lab, via: reject}, {listener: office, via: own}]
      default: direct
      """
    #expect(diagnostics(of: table).count == 1)
    let file = Surroundings.File(bytes: Array(table.utf8))
    let result = loader().load(file, named: "t.yaml", listening: .privately)
    // The address of a listener that is not opened is a hop like any other.
    #expect(result.diagnostics.isEmpty)
    let listeners = try #require(result.configuration).listeners
    #expect(
      listeners == [
        Listener(
          address: .tcp(SocketAddress(.loopback4, port: 0)),
          id: ListenerID(address: "127.0.0.1:1", name: "office"))
      ])
  }
}
