/// Draws places without putting them back, by chance, as often as their weights say: of those that are left.
///
/// A Fenwick tree (Fenwick, 1994): to draw one of n places takes log n steps.
struct WeightedDraw {
  private var weights: [Int]
  /// At place i, from 1 on: the weights of as many places up to there as the lowest bit of i says.
  private var sums: [Int]
  private var left: Int

  /// - Precondition: each weight is at least 1.
  init(_ weights: [Int]) {
    self.weights = weights
    sums = [0] + weights
    left = weights.reduce(0, +)
    for place in 1..<sums.count {
      let next = place + (place & -place)
      if next < sums.count { sums[next] += sums[place] }
    }
  }

  /// Returns the index of one of the weights; `nil` when all were drawn.
  mutating func next<Generator: RandomNumberGenerator>(using generator: inout Generator) -> Int? {
    guard left > 0 else { return nil }
    let index = index(at: Int.random(in: 0..<left, using: &generator))
    var place = index + 1
    while place < sums.count {
      sums[place] -= weights[index]
      place += place & -place
    }
    left -= weights[index]
    weights[index] = 0
    return index
  }

  /// The index whose weight contains that point of all that is left.
  private func index(at point: Int) -> Int {
    var (place, rest) = (0, point)
    var step = 1 << (Int.bitWidth - 1 - sums.count.leadingZeroBitCount)
    while step > 0 {
      if place + step < sums.count, sums[place + step] <= rest {
        place += step
        rest -= sums[place]
      }
      step >>= 1
    }
    return place
  }
}
