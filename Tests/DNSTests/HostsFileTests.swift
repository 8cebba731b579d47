import Addresses
import Glibc
import Testing
import Transport

@testable import DNS

@Suite struct HostsFileTests {
  @Test func `a line gives names to an address`() throws {
    let hosts = HostsFile(
      parsing: Array(
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
      hosts.addresses == [
        "one.test": addresses("192.0.2.1", "2001:db8::1"), "one": addresses("192.0.2.1"),
        "two.test": addresses("192.0.2.2"), "good.test": addresses("192.0.2.4"),
      ])
    #expect(
      hosts.names.mapValues(\.text) == [
        .v4(0xc000_0201): "one.test", .v6(0x2001_0db8 << 96 | 1): "one.test", .v4(0xc000_0202): "two.test",
        .v4(0xc000_0204): "good.test",
      ])
  }

  @Test func `a byte order mark hides no name`() async throws {
    let file = try TestFile("\u{feff}192.0.2.1 one.test\r\n")
    defer { file.remove() }
    let names = try sharedNames(file)
    #expect(try await found(names) == addresses("192.0.2.1"))
  }

  @Test func `a changed hosts file is read again, and a missing one is empty`() async throws {
    let file = try TestFile("192.0.2.1 one.test\n")
    let names = try sharedNames(file)
    #expect(try await found(names) == addresses("192.0.2.1"))
    try file.write("192.0.2.2 one.test\n")
    names.checkFiles()
    #expect(try await found(names) == addresses("192.0.2.2"))
    try file.replace(with: "192.0.2.3 one.test\n")
    names.checkFiles()
    #expect(try await found(names) == addresses("192.0.2.3"))
    file.remove()
    names.checkFiles()
    #expect(try await found(names) == nil)
    try file.write("192.0.2.4 one.test\n")
    names.checkFiles()
    #expect(try await found(names) == addresses("192.0.2.4"))
  }

  @Test func `a hosts file that cannot be read stays as it was, and is read when it can be`() async throws {
    let file = try TestFile("192.0.2.1 one.test\n")
    let names = try sharedNames(file)
    file.remove()
    // It can be opened, and not read.
    try #require(mkdir(file.path, 0o700) == 0)
    for _ in 0..<3 {
      names.checkFiles()
      #expect(try await found(names) == addresses("192.0.2.1"))
    }
    rmdir(file.path)
    try file.write("192.0.2.2 one.test\n")
    names.checkFiles()
    #expect(try await found(names) == addresses("192.0.2.2"))
  }

  @Test func `a changed hosts file is seen a second later without being told`() async throws {
    let file = try TestFile("192.0.2.1 one.test\n")
    let names = try sharedNames(file)
    let question = Question.addresses(of: try DomainName("one.test"), .v4)
    let start = Deadline.now
    _ = names.knowledge(of: question, at: start)
    try file.replace(with: "192.0.2.2 one.test\n")
    if case .outdated = names.knowledge(of: question, at: start + .milliseconds(999)) {
      Issue.record("the file was looked at again within a second")
    }
    guard case .outdated(let check) = names.knowledge(of: question, at: start + .seconds(1)) else {
      Issue.record("the change was not seen")
      return
    }
    await check.task.value
    #expect(try await found(names) == addresses("192.0.2.2"))
  }

  @Test func `a hosts file of 100,000 lines is read once for all loops, and by none of them`() async throws {
    let file = try TestFile("192.0.2.1 one.test\n")
    let names = try sharedNames(file)
    let stopper = try Stopper(of: names.reader)
    let filler = (0..<100_000).map { "0.0.0.0 n\($0).test\n" }.joined()
    try file.write(filler + "192.0.2.2 one.test\n")
    names.checkFiles()
    let question = Question.addresses(of: try DomainName("one.test"), .v4)
    // As long as the thread for files does nothing, nothing reads the file: none of two loops, however often they ask.
    let start = Deadline.now
    var readings: Set<Task<Void, Never>> = []
    for loop in [try EventLoop(), try EventLoop()] {
      defer { loop.stop() }
      for _ in 0..<100 {
        let reading = await Task(executorPreference: loop) { () -> Task<Void, Never>? in
          guard case .outdated(let check) = names.knowledge(of: question, at: start) else { return nil }
          return check.task
        }.value
        readings.insert(try #require(reading, "the loop has read the file"))
      }
    }
    #expect(readings.count == 1)
    stopper.release()
    for reading in readings { await reading.value }
    try await withResolver(of: names, on: try EventLoop()) { resolver, _ in
      let found = try await resolver.answers("one.test")
      #expect(found.v4 == .success(addresses("192.0.2.2")))
    }
  }

  @Test
  func `a file system that hangs is waited for by no loop, and by no question for longer than two seconds`()
    async throws
  {
    let file = try TestFile("192.0.2.1 one.test\n")
    let names = try sharedNames(file)
    let question = Question.addresses(of: try DomainName("one.test"), .v4)
    let hanging = Semaphore()
    Task(executorPreference: names.reader) { hanging.wait() }
    names.checkFiles()
    let start = Deadline.now
    guard case .outdated(let check) = names.knowledge(of: question, at: start) else {
      Issue.record("the file was looked at by the thread that asks")
      return hanging.post()
    }
    #expect(check.end == start + .seconds(2))
    try file.replace(with: "192.0.2.2 one.test\n")
    guard case .answered(let answer, _) = names.knowledge(of: question, at: check.end) else {
      Issue.record("the question still waits")
      return hanging.post()
    }
    #expect(answer == .success(.addresses(addresses("192.0.2.1"))))
    hanging.post()
    await check.task.value
    #expect(try await found(names) == addresses("192.0.2.2"))
  }

  @Test func `what the file names is not asked for, in the other family either`() async throws {
    let file = try TestFile("192.0.2.1 one.test\n")
    try await withResolver(
      ["one.test": .addresses(addresses("2001:db8::1"), ttl: 3600)], hosts: file.path
    ) { resolver, server in
      let lookup = resolver.lookup(try DomainName("one.test"), for: nil)
      #expect(lookup.v4 == .success(addresses("192.0.2.1")))
      #expect(lookup.v6 == .failure(.noData))
      #expect(server.asked.isEmpty)
    }
  }

  @Test func `an address is called by its first name in the file, and nobody is asked`() async throws {
    let file = try TestFile(
      "192.0.2.1 one.test alias.test\n192.0.2.1 two.test\n127.0.1.1 host.test\n")
    try await withResolver([:], hosts: file.path) { resolver, server in
      try await resolver.expect("one.test", of: .v4(0xc000_0201))
      try await resolver.expect("one.test", of: .v6(0xffff_c000_0201))
      try await resolver.expect("host.test", of: .v4(0x7f00_0101))
      #expect(server.asked.isEmpty)
    }
  }

  /// Has a loop's thread wait.
  private struct Stopper {
    private let end: Int32

    init(of loop: EventLoop) throws {
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0)
      end = ends[1]
      Task(executorPreference: loop) { [start = ends[0]] in
        var byte: UInt8 = 0
        _ = read(start, &byte, 1)
        Glibc.close(start)
      }
    }

    func release() { Glibc.close(end) }
  }

  private func sharedNames(_ file: TestFile) throws -> SharedNames {
    try SharedNames(
      ResolverConfiguration(servers: []), cacheCapacity: 100, hostsPath: file.path,
      configurationPath: "/dev/null")
  }

  /// `nil` when the file does not mention it.
  private func found(_ names: SharedNames) async throws -> [IPAddress]? {
    guard case .answered(.success(.addresses(let found)), by: nil) = try await known("one.test", to: names)
    else { return nil }
    return found
  }
}
