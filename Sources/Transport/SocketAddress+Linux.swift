import Addresses
import CLinux

extension SocketAddress {
  /// `nil` when the socket is of neither IP family. An IPv4-mapped address is unmapped.
  init?(_ linux: linux_address) {
    let octets = linux.octets
    let bytes = unsafe withUnsafeBytes(of: octets) { unsafe Array($0) }
    switch linux.family {
    case 4:
      self.init(.v4(bytes[..<4].reduce(0) { $0 << 8 | UInt32($1) }), port: linux.port)
    case 6:
      self.init(IPAddress.v6(bytes.reduce(0) { $0 << 8 | UInt128($1) }).unmapped, port: linux.port)
    default:
      return nil
    }
  }

  var linux: linux_address {
    var result = linux_address()
    result.port = port
    switch address {
    case .v4(let bits):
      result.family = 4
      unsafe withUnsafeMutableBytes(of: &result.octets) {
        unsafe $0.storeBytes(of: bits.bigEndian, as: UInt32.self)
      }
    case .v6(let bits):
      result.family = 6
      unsafe withUnsafeMutableBytes(of: &result.octets) {
        unsafe $0.storeBytes(of: bits.value.bigEndian, as: UInt128.self)
      }
    }
    return result
  }
}
