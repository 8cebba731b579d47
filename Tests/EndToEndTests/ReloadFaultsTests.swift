import Foundation
import Testing

/// A reload that meets a shortage of this machine.
@Suite(.blocking)
struct ReloadFaultsTests {
  // The sanitizers' own libraries must be the first, and take the same calls' places.
  @Test(.enabled(if: !isSanitized), arguments: Fault.Rhythm.allCases)
  func `a reload that cannot watch its new listeners takes the table over as a whole, or not at all`(
    rhythm: Fault.Rhythm
  ) throws {
    let faultSwitch = try FaultSwitch()
    let target = try Server.silent()
    // With six workers, the seventh call comes when some of them watch their new listeners.
    let controlled = try ControlledSockeye(
      "default: direct\n", environment: try faultSwitch.environment, workers: 6)
    func code() throws -> UInt8 {
      try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code
    }
    #expect(try code() == 0)
    try controlled.write("listen: [127.0.0.1:0, 127.0.0.1:0]\ndefault: reject\n")
    let fault = Fault(call: "epoll_ctl", effect: .error(ENOSPC), rhythm: rhythm)
    faultSwitch.set(fault)
    let reload = try controlled.ask("reload")
    faultSwitch.clear()
    try faultSwitch.checkReached(by: fault)
    let status = try controlled.status()
    #expect(status.listeners.count == (reload.status == 0 ? 2 : 1), "\(reload)")
    #expect(try code() == (reload.status == 0 ? 2 : 0), "\(reload)")
    // Whatever came of it, the next one is whole.
    let next = try controlled.ask("reload")
    #expect(next.status == 0, "\(next)")
    #expect(try controlled.status().listeners.count == 2)
    #expect(try code() == 2)
  }
}
