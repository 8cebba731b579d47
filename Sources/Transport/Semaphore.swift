import Glibc

/// A semaphore whose count begins at 0 (sem_init(3)). It takes no descriptor.
///
/// `@unchecked` holds because the semaphore is made to be used by several threads, and stays at its address.
@safe package final class Semaphore: @unchecked Sendable {
  private let semaphore: UnsafeMutablePointer<sem_t>

  /// Creates one whose count is 0.
  package init() {
    unsafe semaphore = .allocate(capacity: 1)
    unsafe sem_init(semaphore, 0, 0)
  }

  deinit {
    unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  /// Lets one `wait` return.
  package func post() {
    unsafe sem_post(semaphore)
  }

  /// Blocks the calling thread until `post` was called.
  package func wait() {
    // It comes back early when a signal handler has run.
    while unsafe sem_wait(semaphore) < 0 {}
  }
}
