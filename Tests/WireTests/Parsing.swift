import Testing

@testable import Wire

/// Expects `bytes` to be `message`, and every beginning of them to be a message not complete yet.
///
/// The bytes are read alone, and where they may stand in practice: behind others, with more behind them.
func expect<M: Message>(
  _ bytes: [UInt8], parseAs message: M, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  for count in bytes.indices {
    var input = ByteReader(Array(bytes[..<count]))
    #expect(try M(parsing: &input) == nil, "cut after \(count)", sourceLocation: sourceLocation)
    #expect(input.remaining == bytes[..<count], "cut after \(count)", sourceLocation: sourceLocation)
  }
  var exactly = ByteReader(bytes)
  #expect(try M(parsing: &exactly) == message, sourceLocation: sourceLocation)
  #expect(exactly.remaining.isEmpty, sourceLocation: sourceLocation)

  let early: [UInt8] = [5, 1, 0xff]
  var input = ByteReader(([9, 9] + bytes + early)[2...])
  #expect(try M(parsing: &input) == message, sourceLocation: sourceLocation)
  #expect(Array(input.remaining) == early, sourceLocation: sourceLocation)
}

/// Expects `bytes` to break the rules as `violation` says once the last of them is there, and not before.
func expect<M: Message>(
  _ bytes: [UInt8], of _: M.Type, violate violation: M.Violation,
  sourceLocation: SourceLocation = #_sourceLocation
) throws where M.Violation: Equatable {
  for count in bytes.indices {
    var input = ByteReader(Array(bytes[..<count]))
    #expect(try M(parsing: &input) == nil, "cut after \(count)", sourceLocation: sourceLocation)
  }
  var input = ByteReader(bytes + [0, 0])
  #expect(throws: violation, sourceLocation: sourceLocation) { try M(parsing: &input) }
  #expect(input.remaining == (bytes + [0, 0])[...], sourceLocation: sourceLocation)
}

func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }
