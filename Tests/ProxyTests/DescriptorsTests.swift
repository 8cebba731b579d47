import Foundation
import Settings
import Testing

/// What limits need of descriptors, and how they fit into fewer.
struct DescriptorsTests {
  /// What all limits may take at the same time.
  private func most(_ limits: Limits, loops: Int) -> Int {
    2 * limits.connections + limits.sockets + (limits.questions + 2 * limits.pipes) * loops
  }

  @Test func `the defaults need 66_664 descriptors with two threads and one listener`() {
    // 32 + 2 × 4 of the program's own, 2 × 20,000, 16,384, and for each thread 4,096 questions and 512 pipes.
    #expect(Limits().descriptors(loops: 2, listeners: 1) == 66_664)
    #expect(Limits().fitted(to: 66_664, loops: 2, listeners: 1) == Limits())
    #expect(Limits().fitted(to: 66_663, loops: 2, listeners: 1).sockets < 16_384)
  }

  @Test func `the service may open what the defaults need with 64 threads and 16 listeners`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("docs/sockeye.service"), encoding: .utf8)
    let found = text.firstMatch(of: #/\nLimitNOFILE=(\d+)\n/#).flatMap { Int($0.1) }
    let granted = try #require(found)
    #expect(granted >= Limits().descriptors(loops: 64, listeners: 16))
  }

  @Test(arguments: [128, 256, 1024, 4096, 20_000, 65_536], [1, 2, 8])
  func `what is lowered fits, leaves a reserve, and leaves something of everything to others`(
    available: Int, loops: Int
  ) {
    let limits = Limits().fitted(to: available, loops: loops, listeners: 1)
    let own = 32 + 4 * loops
    #expect(most(limits, loops: loops) + own <= available)
    if limits != Limits(), available >= 1024 {
      #expect(available - own - most(limits, loops: loops) >= (available - own) / 16)
    }
    // One client at its worst.
    #expect(limits[.localClient] < limits.connections && limits.perClient < limits.connections)
    #expect(limits[.clientSockets] < limits.sockets)
    #expect(limits[.clientAssociations] <= limits.associations)
    #expect(limits.handshakes <= max(1, limits.connections / 2))
    #expect(limits.associations * Limits.socketsPerAssociation <= limits.sockets)
    #expect(limits.connections > (available - own) / 8)
  }

  @Test func `with 1_024 descriptors two threads serve 309 connections`() {
    let limits = Limits().fitted(to: 1024, loops: 2, listeners: 1)
    #expect(limits.connections == 309 && limits[.localClient] == 232 && limits.perClient == 232)
    #expect(limits.handshakes == 154 && limits.associations == 30 && limits.sockets == 123)
    #expect(limits.questions == 61 && limits.pipes == 15)
  }

  @Test func `what a table asks for is not lowered where it fits`() {
    var limits = Limits()
    limits.connections = 100
    limits.perClient = 60
    limits.associations = 10
    let fitted = limits.fitted(to: 1024, loops: 1, listeners: 1)
    #expect(fitted.connections == 100 && fitted.perClient == 60 && fitted.associations == 10)
    // Associations that a table asks for come with their sockets.
    limits.associations = 20_000
    #expect(limits.fitted(to: 1_000_000, loops: 1, listeners: 1).sockets == 80_000)
  }
}
