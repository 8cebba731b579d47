import Foundation
import Testing

extension Trait where Self == OnThreads {
  /// The tests of this suite may block: they run on threads of their own, a few at a time, and leave Swift's
  /// cooperative threads to others.
  static var blocking: Self { OnThreads() }
}

struct OnThreads: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    guard testCase != nil else { return try await function() }
    try await withTaskExecutorPreference(ThreadPool.shared) { try await function() }
  }
}

/// Threads that live as long as the process.
///
/// That matters beyond the tests' own waiting: Linux sends a child its parent-death signal when the *thread* that
/// started it ends.
final class ThreadPool: TaskExecutor {
  static let shared = ThreadPool(threads: 8)

  private let jobs = Recorder<UnownedJob>()

  init(threads: Int) {
    for _ in 0..<threads {
      Thread.detachNewThread { [self] in
        while true { jobs.takeFirst().runSynchronously(on: asUnownedTaskExecutor()) }
      }
    }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    jobs.record(UnownedJob(job))
  }
}
