import Addresses

/// How many logins may wait: of one client, and in all. Logins that share a computation are one.
struct LoginLimits {
  var perClient = 64
  var all = 512
}

/// Logins that wait for a thread to compute their hash. Clients take turns, and at most one login of each client is
/// computed at a time.
///
/// A client that waits with many logins therefore delays another client by the hash that is being computed, at most.
struct LoginQueue<Login> {
  typealias Limits = LoginLimits

  /// The name of a login that waits or is computed.
  struct Ticket: Hashable, Sendable {
    fileprivate let number: UInt64
    let client: Client
  }

  private struct Line {
    var waiting: [(ticket: Ticket, login: Login)] = []
    var isComputing = false
  }

  private let limits: Limits
  private var lines: [Client: Line] = [:]
  /// The clients with a login that waits and none that is computed, in the order of their turns.
  private var turns: [Client] = []
  private(set) var waitingCount = 0
  private var nextNumber: UInt64 = 0

  init(limits: Limits = Limits()) {
    self.limits = limits
  }

  enum Admission {
    case admitted(Ticket)
    /// The login takes the place of another one: the last of the client that has the most.
    case displaced(Ticket, Login)
    case full
  }

  mutating func add(_ login: Login, of client: Client) -> Admission {
    let own = lines[client]?.waiting.count ?? 0
    guard own < limits.perClient else { return .full }
    var displaced: Login?
    if waitingCount == limits.all {
      let longest = lines.max { $0.value.waiting.count < $1.value.waiting.count }
      guard let longest, longest.value.waiting.count > own + 1, let last = longest.value.waiting.last else {
        return .full
      }
      displaced = withdraw(last.ticket)
    }
    nextNumber += 1
    let ticket = Ticket(number: nextNumber, client: client)
    var line = lines[client] ?? Line()
    line.waiting.append((ticket, login))
    if line.waiting.count == 1, !line.isComputing { turns.append(client) }
    lines[client] = line
    waitingCount += 1
    if let displaced { return .displaced(ticket, displaced) }
    return .admitted(ticket)
  }

  /// Takes out the login whose turn it is. The client gets its next turn after `finish`.
  mutating func next() -> (ticket: Ticket, login: Login)? {
    guard let client = turns.first else { return nil }
    turns.removeFirst()
    waitingCount -= 1
    lines[client]?.isComputing = true
    return lines[client]?.waiting.removeFirst()
  }

  /// The login of this client that `next` has taken out is computed.
  mutating func finish(_ client: Client) {
    guard var line = lines[client] else { return }
    line.isComputing = false
    if !line.waiting.isEmpty { turns.append(client) }
    lines[client] = line.waiting.isEmpty ? nil : line
  }

  /// Takes out a login, unless `next` has.
  @discardableResult
  mutating func withdraw(_ ticket: Ticket) -> Login? {
    let client = ticket.client
    guard var line = lines[client], let place = line.waiting.firstIndex(where: { $0.ticket == ticket }) else {
      return nil
    }
    let login = line.waiting.remove(at: place).login
    waitingCount -= 1
    if line.waiting.isEmpty { turns.removeAll { $0 == client } }
    lines[client] = line.waiting.isEmpty && !line.isComputing ? nil : line
    return login
  }

  /// Nothing is kept of the clients that have left.
  var isEmpty: Bool { lines.isEmpty }
}
