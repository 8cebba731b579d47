import Foundation

/// Functions of the C library that the `Glibc` module leaves out, because C shows them only under `_GNU_SOURCE`.
///
/// They are what keeps descriptors of the tests out of the children that other threads start at the same moment.
enum GNU {
  private typealias Accept4 =
    @convention(c) (
      Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?, Int32
    ) -> Int32
  private typealias Pipe2 = @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32
  private typealias AddCloseFrom =
    @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
  private typealias AddChdir =
    @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32

  private static let accept4 = function("accept4", as: Accept4.self)
  private static let pipe2 = function("pipe2", as: Pipe2.self)
  private static let addCloseFrom = function(
    "posix_spawn_file_actions_addclosefrom_np", as: AddCloseFrom.self)
  private static let addChdir = function("posix_spawn_file_actions_addchdir_np", as: AddChdir.self)

  /// A connection and whom it is from: asked later, one that was reset does not tell any more.
  ///
  /// The corresponding C function is `accept4`, with `SOCK_CLOEXEC`.
  static func accept(_ listener: Int32) -> (descriptor: Int32, peer: String) {
    var failure: Int32 = 0
    let (descriptor, peer) = withAddressText { address, length in
      let descriptor = accept4(listener, address, length, Int32(SOCK_CLOEXEC.rawValue))
      failure = errno
      return descriptor
    }
    // What the address looks like is found out by other calls.
    errno = failure
    return (descriptor, peer)
  }

  /// The corresponding C function is `pipe2`, with `O_CLOEXEC`.
  static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { throw SocketError("pipe") }
    return (ends[0], ends[1])
  }

  /// The corresponding C function is `posix_spawn_file_actions_addclosefrom_np`.
  static func addCloseFrom(_ first: Int32, to actions: inout posix_spawn_file_actions_t) {
    _ = addCloseFrom(&actions, first)
  }

  /// The corresponding C function is `posix_spawn_file_actions_addchdir_np`.
  static func addChdir(_ directory: String, to actions: inout posix_spawn_file_actions_t) {
    _ = addChdir(&actions, directory)
  }

  private static func function<Function>(_ name: String, as type: Function.Type) -> Function {
    // Every glibc since 2.34 has all four, and `Function` is a C function pointer of its prototype.
    unsafeBitCast(dlsym(dlopen(nil, RTLD_NOW), name)!, to: Function.self)
  }
}
