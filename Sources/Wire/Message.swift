/// One protocol message, as a value that can be read from bytes and written as bytes.
package protocol Message: Hashable, Sendable {
  associatedtype Violation: Error

  /// Reads one message from the front of `input`, and nothing beyond it.
  ///
  /// The result is `nil` when the message is not complete yet; then, and when it throws, nothing is consumed.
  init?(parsing input: inout ByteReader) throws(Violation)

  func append(to output: inout [UInt8])
}

extension Message {
  /// The message as it is sent.
  package var bytes: [UInt8] {
    var output: [UInt8] = []
    // The longest reply, and most requests.
    output.reserveCapacity(22)
    append(to: &output)
    return output
  }
}
