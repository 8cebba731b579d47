import Addresses

/// Prefixes numbered in order of their first appearance, found again as the innermost that holds an address.
struct PrefixIndex: Sendable {
  private var v4 = Intervals<UInt32>()
  private var v6 = Intervals<UInt128>()
  /// For each prefix the innermost other one around it.
  private(set) var enclosing: [Int?]

  /// - Parameter prefixes: without repetitions.
  init(_ prefixes: [Prefix]) {
    enclosing = Array(repeating: nil, count: prefixes.count)
    var v4: [Intervals<UInt32>.Interval] = []
    var v6: [Intervals<UInt128>.Interval] = []
    for (number, prefix) in prefixes.enumerated() {
      switch prefix.address {
      case .v4(let bits): v4.append(.init(bits, length: prefix.length, number: number))
      case .v6(let bits): v6.append(.init(bits.value, length: prefix.length, number: number))
      }
    }
    self.v4 = Intervals(v4, enclosing: &enclosing)
    self.v6 = Intervals(v6, enclosing: &enclosing)
  }

  func innermost(containing address: IPAddress) -> Int? {
    switch address {
    case .v4(let bits): v4.innermost(containing: bits)
    case .v6(let bits): v6.innermost(containing: bits.value)
    }
  }
}

/// The address space cut where a prefix begins or ends; each piece knows the innermost prefix around it.
///
/// Prefixes are nested or apart, never crossing, so one pass over them in order with the open ones on a stack suffices.
private struct Intervals<Bits: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
  struct Interval {
    var first: Bits
    var last: Bits
    var number: Int

    init(_ first: Bits, length: Int, number: Int) {
      self.first = first
      self.last = first | (Bits.max >> length)
      self.number = number
    }
  }

  /// Ascending. Addresses below the first are in no prefix.
  private var starts: [Bits] = []
  private var numbers: [Int32] = []
  private static var none: Int32 { -1 }

  init() {}

  init(_ intervals: [Interval], enclosing: inout [Int?]) {
    // A prefix stands before those inside it: equal beginnings, the longer range first.
    let sorted = intervals.sorted { ($0.first, $1.last) < ($1.first, $0.last) }
    var open: [Interval] = []
    for interval in sorted {
      close(&open, before: interval.first)
      enclosing[interval.number] = open.last?.number
      cut(at: interval.first, number: Int32(interval.number))
      open.append(interval)
    }
    close(&open, before: nil)
  }

  /// Ends what lies before `limit`; all of it without one.
  private mutating func close(_ open: inout [Interval], before limit: Bits?) {
    while let ended = open.last, limit.map({ ended.last < $0 }) ?? true {
      open.removeLast()
      guard ended.last < .max else { continue }
      cut(at: ended.last + 1, number: open.last.map { Int32($0.number) } ?? Self.none)
    }
  }

  private mutating func cut(at start: Bits, number: Int32) {
    if starts.last == start {
      numbers[numbers.count - 1] = number
    } else {
      starts.append(start)
      numbers.append(number)
    }
  }

  func innermost(containing bits: Bits) -> Int? {
    // The number of starts not above `bits`.
    var low = 0
    var high = starts.count
    while low < high {
      let middle = (low + high) / 2
      if starts[middle] <= bits { low = middle + 1 } else { high = middle }
    }
    guard low > 0, numbers[low - 1] != Self.none else { return nil }
    return Int(numbers[low - 1])
  }
}
