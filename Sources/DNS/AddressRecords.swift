import Addresses
import CAres

/// The addresses of one family in a DNS message, and how long they are true.
struct AddressRecords {
  let answer: Answer
  /// The least TTL of the addresses and of the CNAME records that led to them; `nil` without addresses.
  let lifetime: Duration?

  /// Of more addresses, the rest is ignored: no client tries so many.
  static let limit = 32

  init(parsing message: UnsafePointer<UInt8>?, _ length: Int32, as family: Family) {
    var count = Int32(Self.limit)
    var addresses: [IPAddress] = []
    var lifetimes: [Int32] = []
    let status: Int32
    switch family {
    case .v4:
      var records = [ares_addrttl](repeating: ares_addrttl(), count: Self.limit)
      status = unsafe ares_parse_a_reply(message, length, nil, &records, &count)
      for record in records.prefix(Int(max(0, count))) {
        addresses.append(.v4(UInt32(bigEndian: record.ipaddr.s_addr)))
        lifetimes.append(record.ttl)
      }
    case .v6:
      var records = [ares_addr6ttl](repeating: ares_addr6ttl(), count: Self.limit)
      status = unsafe ares_parse_aaaa_reply(message, length, nil, &records, &count)
      for record in records.prefix(Int(max(0, count))) {
        let octets = record.ip6addr
        let bits = unsafe withUnsafeBytes(of: octets) { unsafe $0.loadUnaligned(as: UInt128.self) }
        addresses.append(IPAddress.v6(UInt128(bigEndian: bits)).unmapped)
        lifetimes.append(record.ttl)
      }
    }
    guard status == ARES_SUCCESS, let least = lifetimes.min() else {
      answer = .failure(status == ARES_SUCCESS ? .noData : ResolutionFailure(status: status))
      lifetime = nil
      return
    }
    answer = .success(addresses)
    // A TTL with its highest bit set stands for zero (RFC 2181 §8).
    lifetime = .seconds(max(0, least))
  }
}

extension ResolutionFailure {
  /// What c-ares says of a question that failed.
  init(status: Int32) {
    switch status {
    case ARES_ENODATA: self = .noData
    case ARES_ENOTFOUND: self = .notFound
    case ARES_ESERVFAIL, ARES_EREFUSED, ARES_ENOTIMP, ARES_ECONNREFUSED: self = .serverFailure
    case ARES_ETIMEOUT: self = .timedOut
    case ARES_ECANCELLED, ARES_EDESTRUCTION: self = .cancelled
    case ARES_ENOMEM: self = .overloaded
    default: self = .malformed
    }
  }
}
