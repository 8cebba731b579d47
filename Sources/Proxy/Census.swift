/// How many sessions there are on one loop, and how far each has come.
struct Census: Sendable {
  enum Stage: Int, Sendable, CaseIterable {
    /// The client has not said yet what it wants.
    case handshake
    /// What it wants is being reached, or refused.
    case dial
    /// The peer of a BIND is awaited.
    case bind
    case tunnel
    case association
  }

  /// By the index of the listener.
  private(set) var present: [Int]
  private(set) var total: [Int]
  private var stages = [Int](repeating: 0, count: Stage.allCases.count)

  init(listeners: Int) {
    present = [Int](repeating: 0, count: listeners)
    total = present
  }

  func count(_ stage: Stage) -> Int { stages[stage.rawValue] }

  mutating func enter(_ listener: Int) {
    present[listener] += 1
    total[listener] += 1
    stages[Stage.handshake.rawValue] += 1
  }

  mutating func move(from old: Stage, to new: Stage) {
    stages[old.rawValue] -= 1
    stages[new.rawValue] += 1
  }

  mutating func leave(_ listener: Int, in stage: Stage) {
    present[listener] -= 1
    stages[stage.rawValue] -= 1
  }

  /// Adds those of another loop.
  mutating func add(_ other: Census) {
    for index in present.indices {
      present[index] += other.present[index]
      total[index] += other.total[index]
    }
    for index in stages.indices { stages[index] += other.stages[index] }
  }
}
