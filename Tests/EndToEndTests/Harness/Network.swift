import Foundation

/// A network namespace with nothing in it but loopback. A process holds it, so that it ends with the value, or with the
/// test process.
final class Network: Sendable {
  private let holder: ChildProcess

  init() throws {
    let isolation = geteuid() == 0 ? ["--net"] : ["--net", "--user", "--map-root-user"]
    holder = try ChildProcess(
      try Program("unshare", package: "util-linux"),
      isolation + [
        "/usr/bin/setpriv", "--pdeathsig", "KILL",
        "/bin/sh", "-c", "ip link set lo up && echo it is up && exec sleep infinity",
      ])
    try holder.line(containing: "it is up")
  }

  /// The beginning of a command that runs in it.
  var entrance: [String] {
    let path = "/proc/\(holder.identifier)/ns"
    return ["/usr/bin/nsenter", "--net=\(path)/net"]
      + (geteuid() == 0 ? [] : ["--user=\(path)/user", "--preserve-credentials"])
  }

  /// Runs `ip` in it, with these words.
  func ip(_ words: String) throws {
    let exit = try ChildProcess.run(
      try Program("ip", package: "iproute2"), words.split(separator: " ").map(String.init), in: self)
    guard exit.status == 0 else { throw NeverHappened(description: "ip \(words): \(exit)") }
  }

  /// A cable between the two, with an address and its prefix length at each end.
  func connect(as address: String, to other: Network, as otherAddress: String) throws {
    try ip("link add cable type veth peer name cable netns \(other.holder.identifier)")
    for (network, address) in [(self, address), (other, otherAddress)] {
      try network.ip("address add \(address) dev cable")
      try network.ip("link set cable up")
    }
  }
}
