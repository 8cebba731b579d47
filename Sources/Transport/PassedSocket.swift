import Addresses
import CLinux
import Glibc

/// A listening socket that the service manager opened and passed to this program (sd_listen_fds(3)).
///
/// The service manager keeps it open when this program ends: connections that arrive meanwhile wait in its queue. It
/// stays open here too, until the program ends.
package struct PassedSocket: Sendable {
  package enum Address: Hashable, Sendable {
    case tcp(SocketAddress)
    /// An abstract path begins with `@`; a socket without a path has an empty one.
    case unix(path: String)
  }

  package let address: Address
  /// As `FileDescriptorName=` of the socket unit says; without it, the unit's name.
  package let name: String?
  let rawValue: Int32

  private static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
  /// SD_LISTEN_FDS_START.
  private static let first: Int32 = 3

  /// Takes over what was passed to this process, and removes the environment variables that say so.
  ///
  /// Call it once, before any other thread runs.
  package static func takeAll() throws(Violation) -> [PassedSocket] {
    let (count, names) = try announced()
    var sockets: [PassedSocket] = []
    for index in 0..<count {
      sockets.append(try PassedSocket(first + Int32(index), named: names?[index]))
    }
    return sockets
  }

  /// Closes what was passed to this process, and removes the environment variables that say so: for a program that starts
  /// another one and serves none of the sockets.
  ///
  /// Call it once, before any other thread runs.
  package static func closeAll() throws(Violation) {
    let count = try announced().count
    for descriptor in first..<first + Int32(count) {
      // What is not open was not passed, nor was anything behind it.
      guard linux_close(descriptor) == 0 else { return }
    }
  }

  /// What the environment says was passed to this process. Its variables are removed.
  private static func announced() throws(Violation) -> (count: Int, names: [String]?) {
    let values = variables.map { name in unsafe getenv(name).map { unsafe String(cString: $0) } }
    for name in variables { unsafe unsetenv(name) }
    // The variables of a program that started this one are not meant for it.
    guard let count = values[1], values[0] == String(getpid()) else { return (0, nil) }
    guard let count = Int32(count), count >= 0, count <= Int32.max - first else { throw .count(count) }
    let names = values[2].map { $0.split(separator: ":", omittingEmptySubsequences: false).map(String.init) }
    if let names, names.count != count { throw .names(names.count, sockets: Int(count)) }
    return (Int(count), names)
  }

  private init(_ rawValue: Int32, named name: String?) throws(Violation) {
    var linux = linux_address()
    // sockaddr_un holds 108 octets.
    var path = [CChar](repeating: 0, count: 109)
    let result = unsafe linux_adopt_listener(rawValue, &linux, &path, path.count)
    guard result == 0 else { throw .socket(rawValue, name: name, Unfitness(result)) }
    self.rawValue = rawValue
    self.name = name
    address =
      SocketAddress(linux).map { .tcp($0) }
      ?? .unix(path: String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }
}

extension PassedSocket {
  /// What was passed cannot be listened on.
  package enum Violation: Error, CustomStringConvertible {
    case count(String)
    case names(Int, sockets: Int)
    case socket(Int32, name: String?, Unfitness)

    package var description: String {
      switch self {
      case .count(let text): "LISTEN_FDS is '\(text)', which is not a number of sockets"
      case .names(let names, let sockets): "LISTEN_FDNAMES has \(names) names for \(sockets) sockets"
      case .socket(let descriptor, let name, let reason):
        "the passed descriptor \(descriptor)\(name.map { " ('\($0)')" } ?? "") \(reason)"
      }
    }
  }

  /// Why a descriptor cannot be listened on.
  package enum Unfitness: Sendable, CustomStringConvertible {
    case notOpen
    case noSocket
    case noStream
    case noListener
    case otherFamily
    case bothFamilies
    case error(Errno)

    fileprivate init(_ result: Int32) {
      self =
        switch linux_unfit(rawValue: UInt32(bitPattern: result)) {
        case LINUX_NOT_OPEN: .notOpen
        case LINUX_NO_SOCKET: .noSocket
        case LINUX_NO_STREAM: .noStream
        case LINUX_NO_LISTENER: .noListener
        case LINUX_OTHER_FAMILY: .otherFamily
        case LINUX_BOTH_FAMILIES: .bothFamilies
        default: .error(Errno(rawValue: -result))
        }
    }

    package var description: String {
      switch self {
      case .notOpen: "is not open"
      case .noSocket: "is not a socket (a socket unit needs 'ListenStream=' only)"
      case .noStream: "is not a TCP or Unix-domain stream socket (a socket unit needs 'ListenStream=' only)"
      case .noListener: "does not listen (a socket unit needs 'Accept=no')"
      case .otherFamily: "is a socket of neither IPv4, IPv6 nor the Unix domain"
      case .bothFamilies:
        "listens on [::] for IPv4 too (write 'BindIPv6Only=ipv6-only' into the socket unit, and a 'ListenStream=' for"
          + " 0.0.0.0 if you want IPv4)"
      case .error(let error): "cannot be used: \(error)"
      }
    }
  }
}
