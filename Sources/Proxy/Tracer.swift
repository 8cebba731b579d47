import Addresses
import DNS
import Routing
import Settings
import Synchronization
import Transport

/// Dials one destination as the server would, and tells how each phase went.
package struct Tracer: Sendable {
  /// One phase that succeeded.
  package struct Step: Sendable {
    package let place: Failure.Place
    package let phase: Failure.Phase
    package let duration: Duration
  }

  package struct Report: Sendable {
    package var steps: [Step]
    /// What the destination sees, or the last hop says it does.
    package var result: Result<SocketAddress, Failure>
    /// For the whole dial.
    package var duration: Duration
  }

  private let configuration: Configuration

  package init(_ configuration: Configuration) {
    self.configuration = configuration
  }

  /// Dials `request` as `verdict` says, on a loop of its own, and closes the connection.
  ///
  /// - Precondition: the outcome is `direct` or a chain.
  package func run(_ request: Request, _ verdict: Verdict) async throws -> Report {
    let loop = try EventLoop()
    defer { loop.stop() }
    let resolver = try Resolver(
      servers: configuration.nameServers.servers, cacheCapacity: configuration.nameServers.cacheCapacity,
      on: loop)
    return await withTaskGroup(of: Report?.self) { group in
      group.addTask(executorPreference: loop) {
        await resolver.run()
        return nil
      }
      group.addTask(executorPreference: loop) { await trace(request, verdict, on: loop, resolver) }
      var report: Report?
      while report == nil, let next = await group.next() { report = next }
      group.cancelAll()
      // The second task always ends with a report, and the first never before it is cancelled.
      guard let report else { preconditionFailure("a trace ended without a report") }
      return report
    }
  }

  private func trace(
    _ request: Request, _ verdict: Verdict, on loop: EventLoop, _ resolver: Resolver
  ) async -> Report {
    let policy = Policy(configuration)
    let steps = Mutex<[Step]>([])
    var dialer = Dialer(loop: loop, resolver: resolver, policy: policy, ownListeners: OwnListeners())
    dialer.onPhase = { place, phase, duration in
      steps.withLock { $0.append(Step(place: place, phase: phase, duration: duration)) }
    }
    let start = Deadline.now
    let result: Result<SocketAddress, Failure>
    do throws(Failure) {
      let connection = try await dialer.dial(
        request, via: verdict.outcome, budget: verdict.route?.timeout ?? policy.timeouts.dial)
      result = .success(connection.bound)
    } catch {
      result = .failure(error)
    }
    return Report(steps: steps.withLock { $0 }, result: result, duration: Deadline.now.since(start))
  }
}
