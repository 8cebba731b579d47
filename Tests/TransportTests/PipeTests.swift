import Foundation
import Glibc
import Testing

@testable import Transport

// Swift does not import these of <fcntl.h>.
private let (setPipeSize, getPipeSize): (Int32, Int32) = (1031, 1032)

/// For the calling thread alone, which the C library's functions do not offer.
private func becomeUser(_ number: Int) {
  #if arch(x86_64)
    let setresuid = 117
  #else
    let setresuid = 147
  #endif
  typealias Call = @convention(c) (Int, Int, Int, Int) -> Int
  guard let call = dlsym(nil, "syscall") else { return }
  _ = unsafeBitCast(call, to: Call.self)(setresuid, -1, number, -1)
}

@Suite(.timeLimit(.minutes(10))) struct PipeTests {
  // pipe(7), pipe-user-pages-soft. It does not hold for root, so that a thread becomes another user for a while.
  @Test func `beyond the user's share of pages there is no pipe`() async throws {
    let error: Errno? = await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        if geteuid() == 0 { becomeUser(54_321) }
        var ends: [Int32] = []
        // Until the kernel gives only a small one.
        while ends.count < 8192 {
          var pair: [Int32] = [-1, -1]
          guard pipe(&pair) == 0 else { break }
          ends += pair
          if fcntl(pair[1], setPipeSize, 1 << 20) < 0, fcntl(pair[1], getPipeSize) < 65_536 { break }
        }
        defer { for end in ends { close(end) } }
        do throws(Errno) {
          _ = try Transport.Pipe()
          continuation.resume(returning: nil)
        } catch {
          continuation.resume(returning: error)
        }
      }
    }
    #expect(error == Errno(rawValue: ENOBUFS))
  }

  @Test func `a pipe of the usual size is taken, and given back for the next`() throws {
    var pool = PipePool()
    let now = Deadline.now
    let taken = pool.take(at: now)
    let pipe = try #require(taken)
    #expect(fcntl(pipe.writeEnd.rawValue, getPipeSize) >= Int32(Transport.Pipe.leastCapacity))
    pool.put(pipe)
    let again = pool.take(at: now)
    #expect(again === pipe)
  }
}
