import Addresses
import Transport

/// Answers that are still true, and the most of them that memory is given to.
///
/// When it is full, an old one makes room: in the order they came, sparing once those used since (the "clock" of
/// page replacement).
struct AnswerCache {
  /// An answer, and the name server it came from.
  struct Known: Hashable {
    var answer: Question.Answer
    var server: SocketAddress?
  }

  private struct Entry {
    var known: Known
    var expiry: Deadline
    var wasUsed: Bool
  }

  /// How many answers it holds.
  let capacity: Int
  private var entries: [Question: Entry] = [:]
  private var order: [Question] = []
  private var hand = 0

  init(capacity: Int) {
    self.capacity = capacity
  }

  var count: Int { entries.count }

  mutating func answer(to question: Question, at now: Deadline) -> Known? {
    guard let place = entries.index(forKey: question), now < entries.values[place].expiry else { return nil }
    entries.values[place].wasUsed = true
    return entries.values[place].known
  }

  mutating func removeAll() {
    entries = [:]
    order = []
    hand = 0
  }

  mutating func insert(_ known: Known, to question: Question, until expiry: Deadline) {
    guard capacity > 0 else { return }
    let entry = Entry(known: known, expiry: expiry, wasUsed: false)
    guard entries.updateValue(entry, forKey: question) == nil else { return }
    guard order.count == capacity else {
      order.append(question)
      return
    }
    while let place = entries.index(forKey: order[hand]), entries.values[place].wasUsed {
      entries.values[place].wasUsed = false
      hand = (hand + 1) % capacity
    }
    entries[order[hand]] = nil
    order[hand] = question
    hand = (hand + 1) % capacity
  }
}
