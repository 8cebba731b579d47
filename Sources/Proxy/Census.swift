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

  /// Sessions now, and since the start.
  struct Visits: Sendable {
    var present = 0
    var total = 0
  }

  /// By the number of the listener.
  private var visits: [Visits] = []
  private var stages = [Int](repeating: 0, count: Stage.allCases.count)

  /// Those of one listener.
  func visits(of listener: Int) -> Visits { listener < visits.count ? visits[listener] : Visits() }

  func count(_ stage: Stage) -> Int { stages[stage.rawValue] }

  mutating func enter(_ listener: Int) {
    while visits.count <= listener { visits.append(Visits()) }
    visits[listener].present += 1
    visits[listener].total += 1
    stages[Stage.handshake.rawValue] += 1
  }

  mutating func move(from old: Stage, to new: Stage) {
    stages[old.rawValue] -= 1
    stages[new.rawValue] += 1
  }

  mutating func leave(_ listener: Int, in stage: Stage) {
    visits[listener].present -= 1
    stages[stage.rawValue] -= 1
  }

  /// Adds those of another loop.
  mutating func add(_ other: Census) {
    while visits.count < other.visits.count { visits.append(Visits()) }
    for index in other.visits.indices {
      visits[index].present += other.visits[index].present
      visits[index].total += other.visits[index].total
    }
    for index in stages.indices { stages[index] += other.stages[index] }
  }
}
