import Addresses
import Foundation
import Routing
import Testing

@testable import sockeye

/// What is explained where several ways lead on.
@Suite struct PlanExplanationTests {
  /// Of a table that leaves choices.
  private static let plans = """
    upstreams: {a: "socks5://alice:secret@h:1", b: "socks5://h:2", c: {url: "socks5://h:3", udp: no}}
    groups:
      exits: {members: [a, [b, c], direct], strategy: fastest, check: {to: "x.example:443"}}
      same: {members: [a, b], strategy: sticky, sticky: user}
      some: {members: [a, b], strategy: random, weights: {a: 3}}
      tcp: {members: [c]}
    chains:
      tour: {hops: [a, b, same], mode: random, length: 1-2}
      careful: [{any: [a, b], optional: true}, c]
    routes:
      - {port: 1, via: exits}
      - {port: 2, via: [c, same]}
      - {port: 3, via: tour}
      - {port: 4, via: careful}
      - {port: 5, via: some}
      - {port: 6, via: tcp, udp: same}
    default: reject
    """

  @Test(
    arguments: [
      (
        1, .connect,
        """
        h.example:1  tcp  →  exits
          route  t.yaml:11   port 1
          group exits  fastest; checked with x.example:443 while in use
            a  socks5://h:1  (user alice)
            chain strict
              hop 1  b  socks5://h:2
              hop 2  c  socks5://h:3
            direct
          the name is resolved by: the last hop, or by this machine where there is none
        """
      ),
      (
        2, .connect,
        """
        h.example:2  tcp  →  c,same
          route  t.yaml:12   port 2
          chain strict
            hop 1  c  socks5://h:3
            hop 2  group same  sticky by user
              a  socks5://h:1  (user alice)
              b  socks5://h:2
          the name is resolved by: the last hop
        """
      ),
      (
        3, .connect,
        """
        h.example:3  tcp  →  tour
          route  t.yaml:13   port 3
          chain tour  random: 1-2 of these in any order
            a  socks5://h:1  (user alice)
            b  socks5://h:2
            group same  sticky by user
              a  socks5://h:1  (user alice)
              b  socks5://h:2
          the name is resolved by: the last hop
        """
      ),
      (
        4, .connect,
        """
        h.example:4  tcp  →  a|b?,c
          route  t.yaml:14   port 4
          chain strict
            hop 1  if up  the first of these that is up
              a  socks5://h:1  (user alice)
              b  socks5://h:2
            hop 2  c  socks5://h:3
          the name is resolved by: the last hop
        """
      ),
      (
        5, .udp,
        """
        h.example:5  udp  →  some
          route  t.yaml:15   port 5
          group some  random
            weight 3  a  socks5://h:1  (user alice)
            weight 1  b  socks5://h:2
          if a hop turns out to carry no UDP: drop
          the name is resolved by: the last hop
        """
      ),
      (
        6, .udp,
        """
        h.example:6  udp  →  same
          route  t.yaml:16   port 6
          by its 'udp' key: 'c' does not carry UDP
          group same  sticky by user
            a  socks5://h:1  (user alice)
            b  socks5://h:2
          if a hop turns out to carry no UDP: drop
          the name is resolved by: the last hop
        """
      ),
    ] as [(Int, Request.Command, String)])
  func `a plan is shown with all its choices`(port: Int, command: Request.Command, text: String) throws {
    #expect(try explained("h.example:\(port)", by: Self.plans, command).text == text)
  }

  @Test func `a plan as JSON`() throws {
    let explanation = try explained("h.example:2", by: Self.plans)
    let object = try members(of: explanation)
    #expect(object["outcome"] as? String == "plan" && (object["hops"] as? [Any])?.isEmpty == true)
    let plan = try #require(object["plan"] as? [String: Any])
    #expect(plan["chain"] is NSNull && plan["mode"] as? String == "strict" && plan["length"] is NSNull)
    let positions = try #require(plan["positions"] as? [[String: Any]])
    let first = try #require((positions.first?["any"] as? [[String: Any]])?.first)
    #expect(positions.first?["optional"] as? Bool == false)
    #expect(
      first["name"] as? String == "c" && first["endpoint"] as? String == "h:3" && first["user"] is NSNull)
    let group = try #require((positions.last?["any"] as? [[String: Any]])?.first)
    #expect(group["group"] as? String == "same" && group["sticky"] as? String == "user")
    let member = try #require((group["members"] as? [[String: Any]])?.first)
    #expect(member["weight"] as? Int == 1)
    #expect((member["member"] as? [String: Any])?["user"] as? String == "alice")
    #expect(!explanation.json.description.contains("secret"))
  }
}
