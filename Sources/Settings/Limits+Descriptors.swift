/// What limits need of descriptors, and how they fit into fewer.
///
/// | for | descriptors |
/// |---|---|
/// | a connection | 2: the client's socket and the destination's |
/// | `sockets` | 1 each: of UDP associations (3 and those of their paths), and attempts to connect beyond a dial's first |
/// | a question to a name server | 1 |
/// | a pipe, of which a tunnel with much to move has up to 2 | 2 |
/// | the program itself | listeners, loops, files, group checks, warm tunnels |
extension Limits {
  package static let socketsPerAssociation = 3

  private static let perConnection = 2
  private static let perPipe = 2

  /// How many descriptors all of them need, of a program with so many loops and listeners.
  package func descriptors(loops: Int, listeners: Int) -> Int {
    let all = extended
    return Self.reserve(loops: loops, listeners: listeners) + all.connections * Self.perConnection
      + all.sockets + (all.questions + all.pipes * Self.perPipe) * loops
  }

  /// Returns limits that a process with so many descriptors can keep to: these, or lower ones.
  ///
  /// Where they do not fit, an eighth of the descriptors is for `sockets`, an eighth for questions, a sixteenth for
  /// pipes, a sixteenth is kept free for warm tunnels and checks, and connections have the others. Checks have a quarter
  /// of that sixteenth, and the trials that follow them another.
  package func fitted(to descriptors: Int, loops: Int, listeners: Int) -> Limits {
    var result = extended
    guard self.descriptors(loops: loops, listeners: listeners) > descriptors else { return result }
    let free = max(0, descriptors - Self.reserve(loops: loops, listeners: listeners))
    result.sockets = min(result.sockets, max(4, free / 8))
    result.questions = min(questions, max(4, free / 8 / loops))
    result.checks = min(checks, max(1, free / 64))
    result.pipes = min(pipes, free / 16 / Self.perPipe / loops)
    let left =
      free - free / 16 - result.sockets - (result.questions + result.pipes * Self.perPipe) * loops
    result.connections = min(connections, max(1, left / Self.perConnection))
    // Silent connections leave half of the connections to others, and one client a quarter.
    result.handshakes = min(handshakes, max(1, result.connections / 2))
    result.perClient = min(perClient, result[.localClient])
    result.associations = min(associations, max(1, result.sockets / (Self.socketsPerAssociation + 1)))
    return result
  }

  /// With sockets enough for the associations and a path of each.
  private var extended: Limits {
    var result = self
    result.sockets = max(sockets, associations * (Self.socketsPerAssociation + 1))
    return result
  }

  /// What the program takes for itself before the first client comes, and room for what it opens for a moment: files, the
  /// connections of `status` and `reload`. A loop has 2, and 2 more for each listener.
  private static func reserve(loops: Int, listeners: Int) -> Int {
    32 + loops * (2 + 2 * listeners)
  }
}
