import Addresses
import Glibc
import Testing
import Transport

@testable import DNS

@Suite struct HostsFileTests {
  @Test func `a line gives names to an address`() throws {
    let entries = HostsFile.parse(
      Array(
        """
        # comment
        192.0.2.1   One.Test one # alias.test
        2001:db8::1\tone.test
        ::ffff:192.0.2.2 two.test
        192.0.2.1 one.test

        not-an-address three.test
        192.0.2.3
        192.0.2.4 bad..name good.test\r
        """.utf8))
    #expect(
      entries.addresses == [
        "one.test": addresses("192.0.2.1", "2001:db8::1"), "one": addresses("192.0.2.1"),
        "two.test": addresses("192.0.2.2"), "good.test": addresses("192.0.2.4"),
      ])
    #expect(
      entries.names.mapValues(\.text) == [
        .v4(0xc000_0201): "one.test", .v6(0x2001_0db8 << 96 | 1): "one.test", .v4(0xc000_0202): "two.test",
        .v4(0xc000_0204): "good.test",
      ])
  }

  @Test func `a changed file is read again, and a missing one is empty`() throws {
    let path = try temporaryFile("192.0.2.1 one.test\n")
    var hosts = HostsFile(path: path)
    let one = try DomainName("one.test")
    let start = Deadline.now
    #expect(hosts.addresses(of: one, at: start) == addresses("192.0.2.1"))
    #expect(hosts.name(of: .v4(0xc000_0201), at: start) == one)
    try write("192.0.2.22 one.test\n", to: path)
    #expect(hosts.name(of: .v4(0xc000_0201), at: start + .seconds(2)) == nil)
    #expect(hosts.addresses(of: one, at: start + .seconds(2)) == addresses("192.0.2.22"))
    unlink(path)
    #expect(hosts.addresses(of: one, at: start + .seconds(4)) == nil)
  }

  @Test func `what the file names is not asked for, in the other family either`() async throws {
    let path = try temporaryFile("192.0.2.1 one.test\n")
    defer { unlink(path) }
    try await withResolver(
      ["one.test": .addresses(addresses("2001:db8::1"), ttl: 60)], hosts: HostsFile(path: path)
    ) { resolver, server in
      let lookup = resolver.lookup(try DomainName("one.test"))
      #expect(lookup.v4 == .success(addresses("192.0.2.1")))
      #expect(lookup.v6 == .failure(.noData))
      #expect(server.asked.isEmpty)
    }
  }

  @Test func `an address is called by its first name in the file, and nobody is asked`() async throws {
    let path = try temporaryFile("192.0.2.1 one.test alias.test\n192.0.2.1 two.test\n127.0.1.1 host.test\n")
    defer { unlink(path) }
    try await withResolver([:], hosts: HostsFile(path: path)) { resolver, server in
      try await resolver.expect("one.test", of: .v4(0xc000_0201))
      try await resolver.expect("one.test", of: .v6(0xffff_c000_0201))
      try await resolver.expect("host.test", of: .v4(0x7f00_0101))
      #expect(server.asked.isEmpty)
    }
  }

  private func temporaryFile(_ text: String) throws -> String {
    var template = Array("/tmp/sockeye-hosts-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    try #require(descriptor >= 0)
    close(descriptor)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try write(text, to: path)
    return path
  }

  private func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_TRUNC)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
  }
}
