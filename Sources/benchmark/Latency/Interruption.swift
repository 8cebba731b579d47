import Glibc
import Transport

/// SIGINT or SIGTERM came: what the benchmark started is to end too, and not this process alone.
struct Interruption: Error, CustomStringConvertible {
  let description = "interrupted"

  private static let signals = [Signal.interrupt, .terminate]

  /// To be called before any other thread runs.
  static func holdBack() { Signal.block(signals) }

  /// Sleeps, and throws once a signal has come.
  static func pause(milliseconds: UInt32) throws(Interruption) {
    Machine.pause(microseconds: milliseconds * 1000)
    var pending = sigset_t()
    unsafe sigpending(&pending)
    for signal in signals where unsafe sigismember(&pending, signal.rawValue) == 1 {
      throw Interruption()
    }
  }
}
