import Foundation

extension ChildProcess {
  /// What the next file it opens will be called.
  var lowestFreeDescriptor: Int {
    get throws {
      let open = Set(
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/fd").compactMap { Int($0) })
      return (0...).first { !open.contains($0) } ?? 0
    }
  }

  /// From now on it can open no descriptor of this number, or above.
  ///
  /// - Parameter hard: whether it cannot raise this limit itself.
  func limitDescriptors(to count: Int, hard: Bool = false) throws {
    descriptorLimits.record(count)
    let exit = try ChildProcess.run(
      try Program("prlimit", package: "util-linux"),
      ["--pid", "\(identifier)", "--nofile=\(count):\(hard ? "\(count)" : "")"])
    guard exit.status == 0 else { throw NeverHappened(description: "prlimit: \(exit)") }
  }
}
