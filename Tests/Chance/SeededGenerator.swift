import Foundation

/// Chance that can be had a second time (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
///
/// A random test takes its seed as an argument, so that an issue names it. `SOCKEYE_TEST_SEED` repeats it.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

private let wanted = ProcessInfo.processInfo.environment["SOCKEYE_TEST_SEED"].flatMap(UInt64.init)

/// The first `count` seeds, the same in every run, or the one in `SOCKEYE_TEST_SEED`.
package func seeds(_ count: UInt64) -> [UInt64] { wanted.map { [$0] } ?? Array(0..<count) }

/// Another seed in every run, or the one in `SOCKEYE_TEST_SEED`.
package let freshSeed = wanted ?? .random(in: 0 ... .max)
