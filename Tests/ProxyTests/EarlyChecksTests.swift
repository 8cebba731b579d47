import Testing
import Transport

@testable import Proxy

/// How often clients whose requests get no answer have a group's members checked.
@Suite struct EarlyChecksTests {
  /// When checks begin, in seconds, if one is wanted each second and each ends at once.
  private func begin(_ checks: inout EarlyChecks, until end: Int, passing: (Int) -> Bool) -> [Int] {
    (0..<end).filter { second in
      let now = Deadline(nanoseconds: 0) + .seconds(second)
      guard checks.begin(7, upTo: .seconds(30), at: now) else { return false }
      checks.end(7, hasPassed: passing(second), at: now)
      return true
    }
  }

  private func tryBeginning(
    _ member: Int, of checks: inout EarlyChecks, at now: Deadline, is expected: Bool,
    location: SourceLocation = #_sourceLocation
  ) {
    let begins = checks.begin(member, upTo: .seconds(30), at: now)
    #expect(begins == expected, sourceLocation: location)
  }

  @Test func `early checks that pass become rarer, down to the group's interval`() {
    var checks = EarlyChecks()
    let begins = begin(&checks, until: 120) { _ in true }
    #expect(begins == [0, 5, 15, 35, 65, 95])
    // Other members have their own.
    tryBeginning(8, of: &checks, at: Deadline(nanoseconds: 0), is: true)
  }

  @Test func `an early check that fails makes the next ones frequent again`() {
    var checks = EarlyChecks()
    let begins = begin(&checks, until: 60) { $0 != 15 }
    #expect(begins == [0, 5, 15, 20, 25, 35, 55])
    // So does one of a round.
    checks.noteFailure(of: 7, at: Deadline(nanoseconds: 0) + .seconds(60))
    tryBeginning(7, of: &checks, at: Deadline(nanoseconds: 0) + .seconds(65), is: true)
  }

  @Test func `a member is not checked twice at a time`() {
    var checks = EarlyChecks()
    tryBeginning(7, of: &checks, at: Deadline(nanoseconds: 0), is: true)
    let later = Deadline(nanoseconds: 0) + .seconds(60)
    tryBeginning(7, of: &checks, at: later, is: false)
    checks.end(7, hasPassed: true, at: later)
    tryBeginning(7, of: &checks, at: later, is: true)
  }
}
