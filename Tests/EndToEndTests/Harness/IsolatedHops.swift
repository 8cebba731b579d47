import Foundation
import Testing

/// Tests with hops that say whom they serve.
protocol IsolatedHops {
  var target: Server { get }
}

extension IsolatedHops {
  /// A name of the target that tells one session from others.
  func address(_ number: Int) -> String { "127.0.0.\(number + 1):\(target.port)" }

  /// A hop that takes any user name, and says in its log which.
  static func hop(_ rest: String = "default: direct") throws -> Sockeye {
    try Sockeye("listen: {address: \"127.0.0.1:0\", auth: optional}\n\(rest)\n")
  }

  func user(_ line: String) throws -> String {
    String(try #require(line.firstMatch(of: #/ user=(\S+) /#), "\(line)").1)
  }

  /// Opens a tunnel; which identity the hop saw.
  func identity(
    at hop: Sockeye, _ sockeye: Sockeye, _ number: Int, from source: String? = nil
  ) throws -> String {
    do {
      let client = try Socket(to: sockeye.address, from: source)
      #expect(try client.requestConnect(to: address(number)).code == 0)
    }
    return try user(hop.session(to: address(number)))
  }
}
