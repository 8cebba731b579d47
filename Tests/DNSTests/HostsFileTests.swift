import Addresses
import Glibc
import Testing
import Transport

@testable import DNS

@Suite struct HostsFileTests {
  @Test func `a line gives names to an address`() throws {
    let names = HostsFile.parse(
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
      names == [
        "one.test": addresses("192.0.2.1", "2001:db8::1"), "one": addresses("192.0.2.1"),
        "two.test": addresses("192.0.2.2"), "good.test": addresses("192.0.2.4"),
      ])
  }

  @Test func `a changed file is read again, and a missing one is empty`() throws {
    let path = try temporaryFile("192.0.2.1 one.test\n")
    var hosts = HostsFile(path: path)
    let one = try DomainName("one.test")
    let start = Deadline.now
    #expect(hosts.addresses(of: one, at: start) == addresses("192.0.2.1"))
    try write("192.0.2.22 one.test\n", to: path)
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
