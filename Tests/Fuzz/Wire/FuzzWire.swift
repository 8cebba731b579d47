import Fuzzing
import Wire

@main struct FuzzWire {
  static func main() {
    unsafe fuzz { start, count in
      readAsEveryMessage(unsafe octets(start, count))
      return 0
    }
  }
}

/// Every parser reads every input, so that a file of the corpus is simply what a peer might send.
private func readAsEveryMessage(_ bytes: [UInt8]) {
  if let first = bytes.first { check(Opening(firstOctet: first).refusal.count <= 200, "a short refusal") }
  check(SOCKS5.Greeting.self, reading: bytes)
  check(SOCKS5.MethodSelection.self, reading: bytes)
  check(SOCKS5.UsernamePassword.self, reading: bytes)
  check(SOCKS5.UsernamePasswordStatus.self, reading: bytes)
  check(SOCKS5.Request.self, reading: bytes)
  check(SOCKS5.Reply.self, reading: bytes)
  check(SOCKS4.Request.self, reading: bytes)
  check(SOCKS4.Reply.self, reading: bytes)
  check(HTTP.Request.self, reading: bytes)
  check(HTTP.Response.self, reading: bytes)
}

/// What one attempt to parse came to.
private enum Outcome<M: Message>: Equatable where M.Violation: Equatable {
  case incomplete
  case message(M, length: Int)
  case violation(M.Violation)

  init(_ bytes: ArraySlice<UInt8>) {
    var input = ByteReader(bytes)
    do throws(M.Violation) {
      if let message = try M(parsing: &input) {
        self = .message(message, length: input.remaining.startIndex - bytes.startIndex)
        check(input.remaining.endIndex == bytes.endIndex, "nothing behind the message is touched")
        return
      }
      self = .incomplete
    } catch {
      self = .violation(error)
    }
    check(input.remaining == bytes, "nothing is consumed without a message")
  }
}

private func check<M: Message>(_: M.Type, reading bytes: [UInt8]) where M.Violation: Equatable {
  let whole = Outcome<M>(bytes[...])

  // However the bytes arrive, they mean the same, from the octet on that completes the message.
  var isDecided = false
  for end in 0...bytes.count {
    let part = Outcome<M>(bytes[..<end])
    check(part == whole || (part == .incomplete && !isDecided), "a part means what the whole means")
    isDecided = isDecided || part != .incomplete
  }

  guard case .message(let message, let length) = whole else { return }
  check(Outcome<M>(bytes[..<length]) == whole, "what follows a message is not waited for")
  check(Outcome<M>(bytes[..<(length - 1)]) == .incomplete, "a message is whole with its last octet")
  let written = message.bytes
  guard case .message(let read, let count) = Outcome<M>((written + bytes)[...]) else {
    return check(false, "what is written is read")
  }
  // A refusal is read no further than it says that it is one.
  check(read == message && count <= written.count, "what is written is read back")
}
