import Chance
import Testing

@testable import Routing

@Suite struct WeightedDrawTests {
  /// Draws by walking along all weights that are left.
  private func naive(_ weights: [Int], _ generator: inout SeededGenerator) -> [Int] {
    var left = Array(weights.indices)
    var order: [Int] = []
    while !left.isEmpty {
      var draw = Int.random(in: 0..<left.reduce(0) { $0 + weights[$1] }, using: &generator)
      let place = left.firstIndex { index in
        draw -= weights[index]
        return draw < 0
      }
      order.append(left.remove(at: place ?? 0))
    }
    return order
  }

  @Test(arguments: [freshSeed])
  func `draws are those of a walk along all weights that are left`(seed: UInt64) {
    var seeds = SeededGenerator(seed: seed)
    for count in (0...40) {
      for _ in 0..<20 {
        let weights = (0..<count).map { _ in Int.random(in: 1...9, using: &seeds) }
        let next = seeds.next()
        var (one, other) = (SeededGenerator(seed: next), SeededGenerator(seed: next))
        var draw = WeightedDraw(weights)
        let order = weights.map { _ in draw.next(using: &one) }
        #expect(draw.next(using: &one) == nil)
        #expect(order == naive(weights, &other), "\(weights)")
      }
    }
  }
}
