import Addresses
import Settings
import Transport

/// What a client or a peer can repeat without end: the log is told at the first time, and then once a minute of how often
/// it has happened since.
struct Repetitions {
  /// `nil` for all clients beyond the first 64 in a minute.
  enum Kind: Hashable, Sendable {
    case refusedLogin(Client?)
    case movedPort(Client?)
    case turnedAway(Errno)
    case limit(Limit)

    /// What it is counted as when there is no room for another client.
    fileprivate var ofAll: Kind {
      switch self {
      case .refusedLogin: .refusedLogin(nil)
      case .movedPort: .movedPort(nil)
      case .turnedAway, .limit: self
      }
    }
  }

  private struct Entry {
    var quietUntil: Deadline
    var untold = 0
    /// The last, and how often it has happened since the log was told.
    var notice: @Sendable (Int) -> Notice
    /// Of those told at once.
    var details: [String]
  }

  private static let quiet = Duration.seconds(60)
  private static let capacity = 64
  /// How many of one kind that differ are told at once in a minute.
  private static let details = 4

  private var entries: [Kind: Entry] = [:]

  /// Counts one.
  ///
  /// - Parameters:
  ///   - detail: what distinguishes it: the first four that differ are news.
  ///   - notice: what the log is told later, of as many as it is given.
  /// - Returns: whether the log is to be told of this one now.
  mutating func isNews(
    _ kind: Kind, _ detail: String = "", at now: Deadline, notice: @escaping @Sendable (Int) -> Notice
  ) -> Bool {
    let kind = entries[kind] != nil || hasRoom(at: now) ? kind : kind.ofAll
    guard var entry = entries[kind], entry.quietUntil > now || entry.untold > 0 else {
      entries[kind] = Entry(quietUntil: now + Self.quiet, notice: notice, details: [detail])
      return true
    }
    defer { entries[kind] = entry }
    if entry.details.count < Self.details, !entry.details.contains(detail) {
      entry.details.append(detail)
      return true
    }
    entry.untold += 1
    entry.notice = notice
    return false
  }

  private mutating func hasRoom(at now: Deadline) -> Bool {
    guard entries.count >= Self.capacity else { return true }
    entries = entries.filter { $0.value.quietUntil > now || $0.value.untold > 0 }
    return entries.count < Self.capacity
  }

  /// When there will be something to tell; `nil` when nothing is untold.
  var nextNotice: Deadline? {
    entries.values.lazy.filter { $0.untold > 0 }.map(\.quietUntil).min()
  }

  /// Takes what is to be told now.
  mutating func notices(at now: Deadline) -> [Notice] {
    var notices: [Notice] = []
    for (kind, entry) in entries where entry.untold > 0 && entry.quietUntil <= now {
      notices.append(entry.notice(entry.untold))
      entries[kind]?.untold = 0
      // For another minute, only a repetition with a detail of its own is told at once.
      entries[kind]?.quietUntil = now + Self.quiet
      entries[kind]?.details = [""]
    }
    return notices
  }
}
