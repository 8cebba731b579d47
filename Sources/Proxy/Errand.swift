import Routing

/// What a journey has this program do for its own sake, while clients go on.
enum Errand: Sendable {
  /// The group of that name is checked from now on, as long as it is in use, by the task of that number.
  case checks(of: String, task: Int)
  /// The group's member at that place is checked once.
  case earlyCheck(of: Int, in: Health.Subject)
  /// A way that was not opened is dialled, to find out which hop failed.
  case trial(WayTrial)
}

extension Server {
  /// How many members of a group are checked at the same time. Groups have parts of `limits.checks` that follow their
  /// numbers of members, so that a round takes about as long in each.
  func checkPlaces(for group: Group) -> Int {
    let configuration = running.configuration
    let members = group.members.count
    let all = configuration.groups.reduce(0) { $1.check == nil ? $0 : $0 + $1.members.count }
    return max(1, min(members, configuration.limits.checks * members / max(all, members)))
  }
}

extension Worker {
  /// Follows a plan from this loop, which runs the journey's errands too.
  func journey(by plan: Plan, for request: Request) -> Journey {
    Journey(by: plan, for: request, health: server.health) { [self] errand in
      begin { [self] in await run(errand) }
    }
  }

  private func run(_ errand: Errand) async {
    switch errand {
    case .checks(let group, let task): await checks(of: group).run(task)
    case .earlyCheck(let member, let subject):
      await checks(of: subject.group.name).checkEarly(member, of: subject)
    case .trial(let trial): await dialer(server.policy).tryWay(trial, noting: server.health)
    }
  }

  private func checks(of group: String) -> GroupChecks {
    GroupChecks(
      name: group, loop: loop, health: server.health,
      makeDialer: { [self] in dialer(server.policy) },
      places: { [self] in server.checkPlaces(for: $0) },
      isDraining: { [self] in server.isDraining },
      begin: { [self] in begin($0) })
  }
}
