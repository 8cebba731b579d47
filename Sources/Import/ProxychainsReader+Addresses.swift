import Addresses
import Config

/// `localnet` and `dnat`.
extension ProxychainsReader {
  // MARK: localnet

  /// `localnet 10.0.0.0/255.0.0.0`, `localnet 10.0.0.0:80/8`, `localnet ::1/128`, `localnet [fe80::]:80/10`.
  mutating func readLocalnet(_ line: ConfLine) {
    guard line.words.count == 2 else {
      error(line.position, "this is no localnet (write it like localnet 10.0.0.0/255.0.0.0)")
      return
    }
    let word = line.words[1]
    let parts = word.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      error(word.position, "\(quoted(word)) has no netmask (write it like 10.0.0.0/255.0.0.0)")
      return
    }
    guard let (address, port) = addressAndPort(parts[0], word) else { return }
    guard let length = prefixLength(parts[1], of: address, word) else { return }
    guard conf.localnets.count < Self.mostLocalnets else {
      passOver(line, .routes, "a localnet behind the \(Self.mostLocalnets)th", "(remove some)")
      return
    }
    // It unmaps destinations, and then looks for IPv4 localnets only.
    guard address.unmapped == address || length < 96 else {
      passOver(line, .routes, "a localnet of IPv4 addresses in the form of IPv6", "(write them as IPv4)")
      return
    }
    conf.localnets.append(
      ProxychainsConf.Localnet(prefix: Prefix(address, length: length), port: port, line: line.number))
  }

  /// A port of 0 is none.
  private mutating func addressAndPort(
    _ bytes: ArraySlice<UInt8>, _ word: ConfLine.Word
  ) -> (address: IPAddress, port: UInt16?)? {
    let colon = UInt8(ascii: ":")
    var host = bytes
    var port: ArraySlice<UInt8>?
    if bytes.first == UInt8(ascii: "["), let bracket = bytes.firstIndex(of: UInt8(ascii: "]")) {
      host = bytes[(bytes.startIndex + 1)..<bracket]
      let rest = bytes[(bracket + 1)...]
      if !rest.isEmpty { port = rest.first == colon ? rest.dropFirst() : rest }
      guard IPAddress(ascii: host)?.bitWidth == 128, rest.isEmpty || rest.first == colon else {
        error(
          word.position, "\(quoted(word)) has no IPv6 address in its brackets (write it like [fe80::]:80/10)")
        return nil
      }
    } else if let first = bytes.firstIndex(of: colon), first == bytes.lastIndex(of: colon) {
      host = bytes[..<first]
      port = bytes[(first + 1)...]
    }
    guard let address = IPAddress(ascii: host) else {
      error(
        word.position, "\(quoted(word)) does not begin with an address (write it like 10.0.0.0/255.0.0.0)")
      return nil
    }
    guard let port else { return (address, nil) }
    guard let number = port.decimal(in: 0...UInt16.max) else {
      error(word.position, "\(quoted(word)) has something else than a port behind its colon (write one)")
      return nil
    }
    return (address, number == 0 ? nil : number)
  }

  private mutating func prefixLength(
    _ bytes: ArraySlice<UInt8>, of address: IPAddress, _ word: ConfLine.Word
  ) -> Int? {
    if case .v4(let mask)? = IPAddress(ascii: bytes), address.bitWidth == 32 {
      let length = mask.leadingZeroBitCount == 0 ? (~mask).leadingZeroBitCount : 0
      guard mask.nonzeroBitCount == length else {
        error(
          word.position,
          "the netmask of \(quoted(word)) has gaps, which no prefix has (write one like 255.255.255.0)")
        return nil
      }
      return length
    }
    guard let length = bytes.decimal(in: 0...address.bitWidth) else {
      error(
        word.position,
        "\(quoted(word)) has no netmask (write one like 255.255.255.0, or a length up to \(address.bitWidth))"
      )
      return nil
    }
    // It shifts a 32-bit number by 32, which C leaves open. Here, on most machines, that is /32.
    guard length > 0 || address.bitWidth == 128 else {
      error(
        word.position,
        "what proxychains makes of '/0' depends on the machine, and mostly it is '/32'"
          + " (write /0.0.0.0 for all addresses)")
      return nil
    }
    return length
  }

  // MARK: dnat

  /// `dnat 192.0.2.1:80 192.0.2.2:8080`, either with a port or without.
  mutating func readRedirection(_ line: ConfLine) {
    guard line.words.count >= 3 else {
      error(line.position, "dnat takes two addresses (write it like dnat 192.0.2.1:80 192.0.2.2:8080)")
      return
    }
    guard let old = quadAndPort(line.words[1]), let new = quadAndPort(line.words[2]) else { return }
    guard new.address.isDialable else {
      error(line.words[2].position, "\(quoted(line.words[2])) is the address of no host (write one)")
      return
    }
    warnOfRest(line, from: 3)
    guard conf.redirections.count < Self.mostRedirections else {
      passOver(line, .routes, "a dnat behind the \(Self.mostRedirections)th", "(remove some)")
      return
    }
    if let first = conf.redirections.first(where: { $0.address == old.address && $0.port == old.port }) {
      passOver(line, .routes, "a dnat of the same address and port as in line \(first.line)", "(remove one)")
      return
    }
    conf.redirections.append(
      ProxychainsConf.Redirection(
        address: old.address, port: old.port, newAddress: new.address, newPort: new.port, line: line.number))
  }

  private mutating func quadAndPort(_ word: ConfLine.Word) -> (address: IPAddress, port: UInt16?)? {
    let parts = word.bytes.split(
      separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
    guard case .v4(let bits)? = IPAddress(ascii: parts[0]) else {
      error(word.position, "\(quoted(word)) does not begin with an IPv4 address (write it like 192.0.2.1:80)")
      return nil
    }
    guard parts.count == 2 else { return (.v4(bits), nil) }
    guard let port = parts[1].decimal(in: 0...UInt16.max) else {
      error(word.position, "\(quoted(word)) has something else than a port behind its colon (write one)")
      return nil
    }
    return (.v4(bits), port == 0 ? nil : port)
  }

  /// Whether it is an IPv4 address with a port.
  func isSocketAddress(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard case .address(.v4)? = Endpoint(String(decoding: bytes, as: UTF8.self))?.host else { return false }
    return true
  }
}
