import Foundation

/// How long a test waits for what should have happened long before: a bound for failures, not a measurement.
let patience: TimeInterval = 180

/// What a test waited for did not happen.
struct NeverHappened: Error, CustomStringConvertible {
  let description: String
}

/// A growing list that others fill and a test waits on.
final class Recorder<Element: Sendable>: Sendable {
  private let condition = NSCondition()
  /// Touched only while `condition` is locked.
  nonisolated(unsafe) private var elements: [Element] = []
  nonisolated(unsafe) private var isFinished = false

  func record(_ element: Element) {
    condition.withLock {
      elements.append(element)
      condition.broadcast()
    }
  }

  /// Nothing more will come: who waits in vain need not wait any longer.
  func finish() {
    condition.withLock {
      isFinished = true
      condition.broadcast()
    }
  }

  var all: [Element] { condition.withLock { elements } }

  /// Waits until `answer` finds what it looks for among everything recorded so far.
  func wait<Answer>(for what: @autoclosure () -> String, _ answer: ([Element]) -> Answer?) throws -> Answer {
    let deadline = Date(timeIntervalSinceNow: patience)
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let found = answer(elements) { return found }
      guard !isFinished, condition.wait(until: deadline) else {
        throw NeverHappened(description: "\(what()) never came; there were \(elements)")
      }
    }
  }

  func wait(forCount count: Int) throws {
    try wait(for: "number \(count)") { $0.count >= count ? () : nil }
  }

  func waitForFinish() throws {
    let deadline = Date(timeIntervalSinceNow: patience)
    condition.lock()
    defer { condition.unlock() }
    while !isFinished {
      guard condition.wait(until: deadline) else {
        throw NeverHappened(description: "the end of \(elements)")
      }
    }
  }

  /// Waits without end for an element and removes it.
  func takeFirst() -> Element {
    condition.lock()
    defer { condition.unlock() }
    while elements.isEmpty { condition.wait() }
    return elements.removeFirst()
  }
}

/// A value under a lock that the thread sanitizer knows, which `Synchronization.Mutex` is not.
final class Locked<Value>: Sendable {
  private let lock = NSLock()
  /// Touched only while `lock` is held.
  nonisolated(unsafe) private var value: Value

  init(_ value: sending Value) { self.value = value }

  func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    try lock.withLock { try body(&value) }
  }
}

/// Closed until the test opens it.
final class Gate: Sendable {
  private let opened = Recorder<Void>()

  func open() { opened.record(()) }

  func wait() throws { try opened.wait(forCount: 1) }
}
