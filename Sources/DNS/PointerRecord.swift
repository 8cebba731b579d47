import Addresses
import CAres
import Glibc

/// The name in a DNS message that answers for an address.
///
/// Strangers choose it: of what is no name that a client could use, nothing is told.
struct PointerRecord {
  let answer: Result<DomainName, ResolutionFailure>

  init(parsing message: UnsafePointer<UInt8>?, _ length: Int32) {
    var entry: UnsafeMutablePointer<hostent>?
    // The address asked for, which c-ares would only copy into the entry.
    let status = unsafe ares_parse_ptr_reply(message, length, nil, 0, AF_UNSPEC, &entry)
    defer { if let entry = unsafe entry { unsafe ares_free_hostent(entry) } }
    guard status == ARES_SUCCESS else {
      // Most of what is no host name c-ares refuses by itself, as if the message were broken.
      answer = .failure(status == ARES_EBADRESP ? .noData : ResolutionFailure(status: status))
      return
    }
    guard let entry = unsafe entry, let text = unsafe entry.pointee.h_name,
      let name = try? DomainName(unsafe String(cString: text))
    else {
      answer = .failure(.noData)
      return
    }
    answer = .success(name)
  }
}
