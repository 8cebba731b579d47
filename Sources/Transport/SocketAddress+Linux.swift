import Addresses
import CLinux

extension SocketAddress {
  /// `nil` when the socket is of neither IP family. An IPv4-mapped address is unmapped.
  init?(_ linux: linux_address) {
    switch linux.family {
    case 4:
      self.init(.v4(linux.word(UInt32.self, at: 0)), port: linux.port)
    case 6:
      let bits = UInt128(linux.word(UInt64.self, at: 0)) << 64 | UInt128(linux.word(UInt64.self, at: 8))
      self.init(IPAddress.v6(bits).unmapped, port: linux.port, scope: linux.scope)
    default:
      return nil
    }
  }

  /// The address a socket is bound to.
  init?(localOf socket: borrowing FileDescriptor) {
    var linux = linux_address()
    guard unsafe linux_local_address(socket.rawValue, &linux) == 0 else { return nil }
    self.init(linux)
  }

  var linux: linux_address {
    var result = linux_address()
    result.port = port
    result.scope = scope
    switch address {
    case .v4(let bits):
      result.family = 4
      result.setWord(bits, at: 0)
    case .v6(let bits):
      result.family = 6
      result.setWord(UInt64(truncatingIfNeeded: bits.value >> 64), at: 0)
      result.setWord(UInt64(truncatingIfNeeded: bits.value), at: 8)
    }
    return result
  }
}

extension IPAddress {
  /// Whether to connect there is to connect to this host. It costs system calls, but for loopback.
  package var isOfThisHost: Bool {
    if isLoopback || isUnspecified { return true }
    var linux = SocketAddress(self, port: 0).linux
    return unsafe linux_is_own_address(&linux) == 1
  }
}

extension linux_address {
  /// Some of the octets as a number in host order.
  ///
  /// Safe where `offset` and the size of `Word` are within the 16 octets, as in every call: 4 at 0, or 8 at 0 and at 8. It may be
  /// unaligned.
  fileprivate func word<Word: FixedWidthInteger & BitwiseCopyable>(_: Word.Type, at offset: Int) -> Word {
    unsafe withUnsafeBytes(of: octets) {
      Word(bigEndian: unsafe $0.loadUnaligned(fromByteOffset: offset, as: Word.self))
    }
  }

  fileprivate mutating func setWord(_ word: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
    unsafe withUnsafeMutableBytes(of: &octets) {
      unsafe $0.storeBytes(of: word.bigEndian, toByteOffset: offset, as: type(of: word))
    }
  }
}

extension SocketAddress {
  /// Opens a socket on this address, or with `ports`, on a free one of these: tried in turn, from a random one on.
  /// When all are taken, `addressInUse`.
  func withFreePort(
    of ports: ClosedRange<UInt16>?, _ open: (SocketAddress) throws(Errno) -> FileDescriptor
  ) throws(Errno) -> FileDescriptor {
    guard let ports else { return try open(self) }
    let start = Int(UInt16.random(in: ports) - ports.lowerBound)
    for offset in 0..<ports.count {
      let port = ports.lowerBound + UInt16((start + offset) % ports.count)
      do {
        return try open(SocketAddress(address, port: port, scope: scope))
      } catch .addressInUse {
        continue
      }
    }
    throw .addressInUse
  }
}
