import Chance
import Foundation

/// Whether the tests run under a sanitizer.
let isSanitized = ["TSAN_OPTIONS", "ASAN_OPTIONS"].contains { ProcessInfo.processInfo.environment[$0] != nil }

/// How much more memory a program may have in use after a load than amid it, in bytes. What the sanitizers keep grows
/// with all that happens.
let memoryTolerance = isSanitized ? 256 << 20 : 16 << 20

extension Download {
  /// From 10 KB to 5 MB, as many small ones as large ones, by clients of all manners.
  static func random(_ deliveries: [Delivery], using generator: inout SeededGenerator) -> Download {
    let count = Int(10_000 * pow(500, Double.random(in: 0...1, using: &generator)))
    let content = Content(number: .random(in: 0..<Content.period, using: &generator), count: count)
    var download = Download(content: content, delivery: deliveries.randomElement(using: &generator)!)
    download.isEager = .random(using: &generator)
    if Int.random(in: 0..<20, using: &generator) == 0 {
      download.patience = .random(in: 0...count, using: &generator)
    }
    return download
  }
}

/// Clients that download one thing after the other, so that as many as there are do at any time.
final class Load: Sendable {
  struct Task: Sendable {
    /// What it is counted under.
    let name: String
    let target: String
    let download: Download
  }

  private struct Account {
    var outcomes: [String: [Download.Outcome: Int]] = [:]
    var faults: [String] = []
    var isOver = false
  }

  private let account = Locked(Account())
  private let ended = Recorder<Void>()
  private let clientCount: Int

  /// - Parameter choose: what a client is to do next.
  init(
    _ clientCount: Int, through proxy: String, seed: UInt64,
    choose: @escaping @Sendable (inout SeededGenerator) -> Task
  ) {
    self.clientCount = clientCount
    for number in 0..<clientCount {
      Thread.detachNewThread { [account, ended] in
        var generator = SeededGenerator(seed: seed &+ UInt64(number))
        while !account.withLock({ $0.isOver }) {
          let task = choose(&generator)
          let result = Result { try task.download.run(through: proxy, to: task.target) }
          account.withLock {
            switch result {
            case .success(let outcome): $0.outcomes[task.name, default: [:]][outcome, default: 0] += 1
            case .failure(let fault): $0.faults.append("\(task.name): \(fault)")
            }
          }
          // Who is refused does not come back the same moment.
          if case .success(.refused) = result { poll(nil, 0, 20) }
        }
        ended.record(())
      }
    }
  }

  /// Waits until so many downloads are over.
  func wait(forCount count: Int) throws {
    try eventually("\(count) downloads; there are \(self.count)") { self.count >= count }
  }

  /// Begins nothing more, and waits until everything is over.
  func end() throws {
    account.withLock { $0.isOver = true }
    do {
      try ended.wait(forCount: clientCount)
    } catch {
      throw NeverHappened(description: "\(clientCount - ended.all.count) downloads never ended")
    }
  }

  /// What must not have happened.
  var faults: [String] { account.withLock { $0.faults } }

  var outcomes: [String: [Download.Outcome: Int]] { account.withLock { $0.outcomes } }

  /// How many downloads there were.
  var count: Int { outcomes.values.reduce(0) { $0 + $1.values.reduce(0, +) } + faults.count }
}
