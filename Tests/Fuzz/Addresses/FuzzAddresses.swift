import Addresses
import Fuzzing
import Glibc

@main struct FuzzAddresses {
  static func main() {
    unsafe fuzz { start, count in
      readAsEveryHost(unsafe octets(start, count))
      return 0
    }
  }
}

/// Every input is read as every kind of text that names a host.
private func readAsEveryHost(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)

  if let address = IPAddress(text) {
    check(IPAddress(address.description) == address, "an address is read back")
    let endpoint = Endpoint(address.unmapped, port: 80)
    check(Endpoint(endpoint.description) == endpoint, "so is an endpoint at it")
    check(Prefix(address).contains(address), "an address is in its own range")
  }
  check(IPAddress(ascii: bytes[...]) == IPAddress(text), "octets and text are read alike")
  // A C string ends at a NUL.
  if !bytes.contains(0) { check(IPAddress(text) == systemAddress(text), "the C library reads it alike") }
  if let prefix = Prefix(text) {
    check(Prefix(prefix.description) == prefix, "a range is read back")
    check(prefix.contains(prefix.address), "a range holds its first address")
  }
  if let endpoint = Endpoint(text) {
    check(Endpoint(endpoint.description) == endpoint, "an endpoint is read back")
  }
  if let name = try? DomainName(bytes) {
    check((1...253).contains(name.text.utf8.count), "a name has 1 to 253 octets")
    check((try? DomainName(name.text)) == name, "a name is read back")
    check(IPAddress(name.text) == nil, "no address is a name")
  }
  switch try? Host(nameField: bytes) {
  case .address(let address)?: check(address == address.unmapped, "no mapped address comes through")
  case .name(let name)?: check((try? DomainName(bytes)) == name, "a name is a name")
  case nil: check(IPAddress(text) == nil && (try? DomainName(bytes)) == nil, "nothing legal is refused")
  }
}

/// What `inet_pton` reads: it is as strict as ``IPAddress`` is meant to be.
private func systemAddress(_ text: String) -> IPAddress? {
  var four: UInt32 = 0
  if unsafe inet_pton(AF_INET, text, &four) == 1 { return .v4(UInt32(bigEndian: four)) }
  var six: UInt128 = 0
  if unsafe inet_pton(AF_INET6, text, &six) == 1 { return .v6(UInt128(bigEndian: six)) }
  return nil
}
