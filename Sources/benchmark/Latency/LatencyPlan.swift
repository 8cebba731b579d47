/// How often tunnels are opened where round trips take time, and how much.
struct LatencyPlan {
  var rounds = 20
  /// Of each link, there and back, in milliseconds.
  var roundTrip = 40
  /// Only where one of several exits dies and returns.
  var isFailoverOnly = false

  init(_ arguments: ArraySlice<String>) throws(Options.Mistake) {
    var rest = arguments
    while let option = rest.popFirst() {
      if option == "--failover" {
        isFailoverOnly = true
        continue
      }
      guard ["--rounds", "--delay"].contains(option) else {
        throw Options.Mistake(text: "'latency' has no option '\(option)'")
      }
      guard let value = rest.popFirst() else { throw Options.Mistake(text: "\(option) needs a value") }
      if option == "--rounds" {
        guard let rounds = Int(value), rounds > 0 else {
          throw Options.Mistake(text: "--rounds wants a number above 0")
        }
        self.rounds = rounds
      } else {
        guard value.hasSuffix("ms"), let delay = Int(value.dropLast(2)), (1...2000).contains(delay) else {
          throw Options.Mistake(text: "--delay wants 1ms to 2000ms")
        }
        roundTrip = delay
      }
    }
  }

  /// Of the path through so many hops, in seconds: there is a link more than hops.
  func pathRoundTrip(hops: Int) -> Double { Double((hops + 1) * roundTrip) / 1000 }
}
