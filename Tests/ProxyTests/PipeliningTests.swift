import Addresses
import Routing
import Testing
import Transport
import Wire

@testable import Proxy

/// What is remembered of each upstream.
struct PipeliningTests {
  private static func hop(
    _ name: String, _ pipeline: Upstream.Pipeline = .auto, kind: Upstream.Kind = .socks5, port: UInt16 = 1
  ) -> Upstream {
    Upstream(
      name: name, kind: kind, endpoint: Endpoint(.loopback4, port: port), pipeline: pipeline)
  }

  private static func pace(_ indices: Int...) -> Pace {
    var pace = Pace()
    for index in indices { pace.insert(index) }
    return pace
  }

  private struct Told: Equatable {
    var pace: Pace
    var isTrialDue: Bool
  }

  /// What a client's dial is to go by.
  private static func told(_ pipelining: Pipelining, _ chain: Chain) -> Told {
    let (pace, isTrialDue) = pipelining.pace(for: chain)
    return Told(pace: pace, isTrialDue: isTrialDue)
  }

  @Test func `a hop is told everything at once when a trial has proven that it supports that`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a"), Self.hop("b"), Self.hop("c", .no)])
    #expect(Self.told(pipelining, chain) == Told(pace: .lockstep, isTrialDue: false))
    #expect(pipelining.trialPace(for: chain, isContinued: false) == Self.pace(0, 1))
    pipelining.prove(chain.hops[0])
    #expect(Self.told(pipelining, chain) == Told(pace: Self.pace(0), isTrialDue: false))
    #expect(pipelining.standing(of: chain.hops[0]) == .yes)
    #expect(pipelining.standing(of: chain.hops[1]) == .unknown)
  }

  @Test func `a trial that found nothing out is not repeated at once, one that did goes on`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a"), Self.hop("b")])
    #expect(pipelining.trialPace(for: chain, isContinued: false) == Self.pace(0, 1))
    #expect(pipelining.trialPace(for: chain, isContinued: false) == nil)
    pipelining.withdraw(chain.hops[0])
    #expect(pipelining.trialPace(for: chain, isContinued: true) == Self.pace(1))
    pipelining.prove(chain.hops[1])
    #expect(pipelining.trialPace(for: chain, isContinued: true) == nil)
    #expect(pipelining.pace(for: chain).pace == Self.pace(1))
    #expect(pipelining.standing(of: chain.hops[0]) == .no)
  }

  @Test func `with 'yes' a hop is trusted until a trial fails, with 'no' never`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a", .yes), Self.hop("b", .no)])
    #expect(Self.told(pipelining, chain) == Told(pace: Self.pace(0), isTrialDue: false))
    #expect(pipelining.trialPace(for: chain, isContinued: false) == nil)
    pipelining.withdraw(chain.hops[0])
    #expect(Self.told(pipelining, chain) == Told(pace: .lockstep, isTrialDue: false))
    pipelining.prove(chain.hops[1])
    #expect(pipelining.pace(for: chain).pace == .lockstep)
  }

  @Test func `a doubt takes nothing away, and leads to one trial in a pause`() {
    for setting in [Upstream.Pipeline.auto, .yes] {
      let pipelining = Pipelining()
      let chain = Chain([Self.hop("a", setting)])
      pipelining.prove(chain.hops[0])
      #expect(Self.told(pipelining, chain) == Told(pace: Self.pace(0), isTrialDue: false))
      for _ in 0..<100 { pipelining.doubt(chain.hops[0]) }
      #expect(Self.told(pipelining, chain) == Told(pace: Self.pace(0), isTrialDue: true))
      #expect(pipelining.trialPace(for: chain, isContinued: false) == Self.pace(0))
      #expect(pipelining.trialPace(for: chain, isContinued: false) == nil)
      pipelining.prove(chain.hops[0])
      #expect(Self.told(pipelining, chain) == Told(pace: Self.pace(0), isTrialDue: false))
      // At once again: the pause since the trial is not over.
      pipelining.doubt(chain.hops[0])
      #expect(Self.told(pipelining, chain) == Told(pace: Self.pace(0), isTrialDue: false))
      #expect(pipelining.trialPace(for: chain, isContinued: false) == nil)
    }
  }

  private static func at(_ seconds: Int) -> Deadline {
    Deadline(nanoseconds: 0) + .seconds(1_000_000 + seconds)
  }

  @Test func `a hop that lost the privilege is tried again, and comes back by that alone`() {
    for setting in [Upstream.Pipeline.auto, .yes] {
      var record = Pipelining.Record(setting)
      record.prove(at: Self.at(0))
      record.withdraw(at: Self.at(10))
      #expect(!record.isTrusted && !record.isTrialDue(at: Self.at(69)))
      #expect(!record.isTrusted && record.isTrialDue(at: Self.at(70)))
      record.prove(at: Self.at(70))
      #expect(record.isTrusted && !record.isTrialDue(at: Self.at(1_000)))
    }
  }

  @Test
  func `after trials that fail the pause grows to an hour, and a hop that has worked since begins anew`() {
    var record = Pipelining.Record(.auto)
    func withdraw(at seconds: Int) -> Int {
      record.withdraw(at: Self.at(seconds))
      return Int(record.pauseEnd.since(Self.at(seconds)) / .seconds(60))
    }
    #expect((0..<8).map { _ in withdraw(at: 0) } == [1, 2, 4, 8, 16, 32, 64, 64])
    record.prove(at: Self.at(0))
    #expect(withdraw(at: 64 * 60 - 1) == 64)
    record.prove(at: Self.at(0))
    #expect(withdraw(at: 64 * 60) == 1)
  }

  @Test func `BIND and UDP ASSOCIATE do not share a flight with the last hop's greeting`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a", .yes), Self.hop("b", .yes)])
    let paces = [SOCKS5.Command.connect, .resolve, .resolvePTR, .bind, .associate].map {
      pipelining.pace(for: chain, asking: $0).pace
    }
    #expect(paces == [Self.pace(0, 1), Self.pace(0, 1), Self.pace(0, 1), Self.pace(0), Self.pace(0)])
  }

  @Test func `an HTTP hop is asked one thing at a time, whatever the table says (RFC 9931)`() {
    let pipelining = Pipelining()
    for setting in [Upstream.Pipeline.yes, .auto] {
      let chain = Chain([Self.hop("a", .yes), Self.hop("b", setting, kind: .http), Self.hop("c", .yes)])
      pipelining.prove(chain.hops[1])
      #expect(pipelining.pace(for: chain).pace == Self.pace(0, 2))
      pipelining.doubt(chain.hops[0])
      #expect(pipelining.trialPace(for: chain, isContinued: false)?.contains(1) != true)
    }
  }

  @Test func `a last hop that is not greeted is told one thing only`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a", .yes, kind: .socks4a), Self.hop("b", .yes, kind: .socks4a)])
    #expect(pipelining.pace(for: chain).pace == Self.pace(0))
  }

  @Test func `another proxy by the same name starts anew`() {
    let pipelining = Pipelining()
    pipelining.prove(Self.hop("a"))
    #expect(pipelining.pace(for: Chain([Self.hop("a")])).pace == Self.pace(0))
    #expect(pipelining.pace(for: Chain([Self.hop("a", port: 2)])).pace == .lockstep)
    // The same proxy with another setting is the same proxy, and obeys the setting.
    pipelining.keep([Self.hop("a", .no)])
    #expect(pipelining.pace(for: Chain([Self.hop("a", .no)])).pace == .lockstep)
    pipelining.keep([Self.hop("a")])
    #expect(pipelining.pace(for: Chain([Self.hop("a")])).pace == Self.pace(0))
    pipelining.keep([Self.hop("a", port: 2)])
    pipelining.prove(Self.hop("a"))
    for port in [1, 2] as [UInt16] {
      #expect(pipelining.pace(for: Chain([Self.hop("a", port: port)])).pace == .lockstep)
    }
  }
}
