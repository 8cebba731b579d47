import Fuzzing
import Wire

@main struct FuzzDatagrams {
  static func main() {
    unsafe fuzz { start, count in
      unwrap(unsafe octets(start, count))
      return 0
    }
  }
}

/// Takes header after header off, as for a chain as long as there are headers, and writes them again.
private func unwrap(_ datagram: [UInt8]) {
  var rest = datagram.span
  var headers: [SOCKS5.DatagramHeader] = []
  while let (header, byteCount) = read(rest) {
    headers.append(header)
    rest = rest.extracting(byteCount...)
  }

  var rewritten: [UInt8] = []
  for header in headers {
    let start = rewritten.count
    header.append(to: &rewritten)
    check(rewritten.count - start == header.byteCount, "a header is as long as it says")
  }
  for index in rest.indices { rewritten.append(rest[index]) }

  var again = rewritten.span
  for header in headers {
    guard let (found, byteCount) = read(again) else { return check(false, "what is written is read back") }
    check(found == header && byteCount == header.byteCount, "what is written is read back")
    again = again.extracting(byteCount...)
  }
  check(again.count == rest.count, "the payload stays as it was")
  check(read(again) == nil, "the payload means what it meant")
}

/// The header in front, after it was cut at every octet.
private func read(_ datagram: Span<UInt8>) -> (header: SOCKS5.DatagramHeader, byteCount: Int)? {
  let whole: (header: SOCKS5.DatagramHeader, byteCount: Int)
  do throws(SOCKS5.DatagramHeader.Violation) {
    whole = try SOCKS5.DatagramHeader.parse(datagram)
  } catch {
    return nil
  }
  check(
    (8...262).contains(whole.byteCount) && whole.byteCount <= datagram.count, "a header lies in its datagram")
  for count in 0..<whole.byteCount {
    do throws(SOCKS5.DatagramHeader.Violation) {
      _ = try SOCKS5.DatagramHeader.parse(datagram.extracting(..<count))
      check(false, "a part of a header is none")
    } catch {
      check(error == .truncated, "a part of a header is truncated")
    }
  }
  return whole
}
