import Addresses
import DNS
import Routing
import Settings
import Testing
import Transport

@testable import Proxy

/// What becomes of a name that is not looked up since a limit of questions to name servers is reached.
@Suite struct QuestionLimitsTests {
  private static let clients = (0..<5).map { Client(at: .v4(0xcb00_7100 + $0)) }

  @Test
  func `a name that a limit keeps from being looked up is counted, and told with the limit and the client`()
    async throws
  {
    var limits = Limits()
    limits.questions = 8
    try await withServer(limits: limits, nameServers: [SocketAddress(.loopback4, port: 9)]) { _ in
      RouteTable(.direct)
    } _: { server in
      let worker = server.server.running.workers[0]
      try await Task(executorPreference: worker.loop) {
        // No answer comes in between.
        var lookups: [Lookup] = []
        for (number, client) in [0, 0, 1, 2, 3, 4].map({ Self.clients[$0] }).enumerated() {
          lookups.append(worker.resolver.lookup(try DomainName("n\(number).test"), for: client))
        }
        lookups.append(worker.resolver.lookup(try DomainName("own.test"), for: nil))
      }.value
      let reached = server.record.nameRefusals
      #expect(reached.map(\.limit.description) == ["client_questions 2", "questions 8"])
      // The client with most, and of several the first, loses its oldest.
      #expect(reached.map(\.client) == [Self.clients[0], Self.clients[0]])
      // A name is two questions.
      let status = await server.server.status().limits.filter { $0.name.hasSuffix("questions") }
      #expect(status.map(\.name) == ["questions", "client_questions"])
      #expect(status.map(\.value) == [8, 2])
      #expect(status.map(\.refused) == [4, 2])
    }
  }
}
