import Addresses
import Testing

@testable import Routing

@Suite struct ConditionTests {
  /// Whether `condition` holds for CONNECT to `destination` by alice from 192.168.1.7 at a listener named `inside`.
  private func holds(_ condition: Condition, _ destination: String, _ command: Request.Command = .connect)
    throws
    -> Bool
  {
    var request = try Request(destination, command, client: IPAddress("192.168.1.7"), user: "alice")
    request.listener = ListenerID(address: "0.0.0.0:1080", name: "inside")
    return RouteTable((condition, .drop)).verdict(for: request).outcome == .drop
  }

  @Test(arguments: [
    ("corp.example", true), ("a.corp.example", true), ("a.b.CORP.example.", true), ("xcorp.example", false),
    ("corp.example.org", false), ("example", false), ("corp.exampl", false), ("orp.example", false),
    ("corp-example", false), ("10.0.0.1", false),
  ])
  func `a domain is the name and what is below it, label by label`(destination: String, isHeld: Bool) throws {
    #expect(try holds(.domain(["other.test", "corp.example"]), destination) == isHeld)
  }

  @Test(
    arguments: [
      (.host(["a.test"]), "A.test", true), (.host(["a.test"]), "b.a.test", false),
      (.host(["a.test"]), "test", false),
      (.host(["*.a.test"]), "b.a.test", true), (.host(["*.a.test"]), "a.test", false),
      (.host(["*.a.test"]), "ba.test", false), (.host(["*a.test"]), "ba.test", true),
      (.host(["/^b+\\./"]), "bbb.test", true), (.host(["/^b+\\./"]), "abb.test", false),
      (.host(["*", "/./"]), "10.0.0.1", false), (.host(["10.0.0.1"]), "10.0.0.1", true),
      (.host(["::1"]), "[::1]:80", true), (.host(["10.0.0.1"]), "10.0.0.2", false),
      (.host(["x.test", "10.0.0.1", "*b*", "/c$/"]), "abc.test", true), (.host([]), "a.test", false),
      (.ip(["10.0.0.0/8"]), "10.255.0.1", true), (.ip(["10.0.0.0/8"]), "11.0.0.0", false),
      (.ip(["10.0.0.0/8", "10.1.0.0/16"]), "10.1.2.3", true), (.ip(["10.0.0.0/8"]), "a.test", false),
      (.ip(["0.0.0.0/0"]), "255.255.255.255", true), (.ip(["0.0.0.0/0"]), "[2001:db8::1]:80", false),
      (.ip(["fc00::/7"]), "[fdff:ffff::1]:80", true), (.ip(["fc00::/7"]), "[fe00::]:80", false),
      (.ip(["::/0"]), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80", true),
      (.port([25...25, 6000...6063]), "a.test:6063", true),
      (.port([25...25, 6000...6063]), "a.test:6064", false),
      (.port([80...90, 85...100, 1...79]), "a.test:100", true), (.port([0...65535]), "a.test:65535", true),
      (.network([.tcp]), "a.test", true), (.network([.udp]), "a.test", false),
      (.command([.connect]), "a.test", true), (.command([.bind, .udp]), "a.test", false),
      (.client(["192.168.0.0/16"]), "a.test", true), (.client(["192.168.1.8"]), "a.test", false),
      (.user(["bob", "alice"]), "a.test", true), (.user(["Alice", "alic", "alicea", ""]), "a.test", false),
      (.listener(["inside"]), "a.test", true), (.listener(["0.0.0.0:1080"]), "a.test", true),
      (.listener(["outside"]), "a.test", false),
      (.all([.domain(["test"]), .port([443...443])]), "a.test", true),
      (.all([.domain(["test"]), .port([80...80])]), "a.test", false), (.all([]), "a.test", true),
      (.any([.domain(["org"]), .port([443...443])]), "a.test", true), (.any([]), "a.test", false),
      (.any([.domain(["org"]), .port([80...80])]), "a.test", false),
      (.not(.domain(["test"])), "a.test", false), (.not(.domain(["org"])), "a.test", true),
      (.not(.ip(["10.0.0.0/8"])), "a.test", true),
      (.not(.any([.domain(["org"]), .not(.domain(["test"]))])), "a.test", true),
      (.all([.not(.all([.user(["alice"]), .domain(["b.test"])])), .domain(["test"])]), "a.test", true),
    ] as [(Condition, String, Bool)])
  func `a condition holds or not`(condition: Condition, destination: String, isHeld: Bool) throws {
    #expect(try holds(condition, destination) == isHeld)
  }

  @Test func `network and command see what a client asks for`() throws {
    #expect(try holds(.network([.udp]), "a.test", .udp))
    #expect(try holds(.network([.tcp]), "a.test", .bind))
    #expect(try !holds(.network([.tcp]), "a.test", .udp))
    #expect(try holds(.command([.bind]), "a.test", .bind))
  }

  @Test func `what a client did not give holds for no value`() throws {
    for condition: Condition in [
      .user(["alice", ""]), .client(["0.0.0.0/0", "::/0"]), .listener(["inside", ""]),
    ] {
      #expect(RouteTable((condition, .drop)).line(for: try Request("a.test")) == nil)
    }
  }

  @Test func `an empty user name is a name`() throws {
    #expect(RouteTable((.user([""]), .drop)).line(for: try Request("a.test", user: "")) == 1)
  }

  @Test func `user names that only look alike differ`() throws {
    let table = RouteTable((.user(["caf\u{e9}"]), .drop))
    #expect(table.line(for: try Request("a.test", user: "cafe\u{301}")) == nil)
    #expect(table.line(for: try Request("a.test", user: "caf\u{e9}")) == 1)
  }

  @Test(
    arguments: [
      (.domain(["a.test"]), "domain a.test"), (.port([25...25, 6000...6063]), "port 25 or 6000-6063"),
      (.host(["a.test", "*.b", "/c/", "10.0.0.1"]), "host a.test, *.b, /c/ or 1 more"),
      (.all([.ip(["10.0.0.0/8"]), .network([.tcp])]), "all of (ip 10.0.0.0/8; network tcp)"),
      (.not(.any([.command([.bind]), .client(["::1"])])), "not (any of (command bind; client ::1/128))"),
    ] as [(Condition, String)])
  func `a condition reads as a table writes it`(condition: Condition, text: String) {
    #expect(condition.description == text)
  }
}
