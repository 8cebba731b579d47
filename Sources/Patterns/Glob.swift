/// A pattern in which `*` stands for any run of octets, the empty one too; everything else stands for itself.
///
/// The text between two stars is looked for once, from left to right, and never again: the leftmost place is as good
/// as any other. So matching costs at most the length of the text times that of the pattern, whatever they are.
package struct Glob: Hashable, Sendable {
  package let pattern: String
  /// What stands before, between and behind the stars; a pattern without a star is one piece.
  private let pieces: [[UInt8]]

  package init(_ pattern: String) {
    self.pattern = pattern
    pieces = pattern.utf8.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).map {
      Array($0)
    }
  }

  package func matches(_ text: Span<UInt8>) -> Bool {
    let first = pieces[0]
    let last = pieces[pieces.count - 1]
    guard pieces.count > 1 else { return first.count == text.count && Self.stands(first, in: text, at: 0) }
    let end = text.count - last.count
    guard first.count <= end, Self.stands(first, in: text, at: 0), Self.stands(last, in: text, at: end) else {
      return false
    }
    var position = first.count
    for piece in pieces[1..<(pieces.count - 1)] {
      while true {
        guard position + piece.count <= end else { return false }
        if Self.stands(piece, in: text, at: position) { break }
        position += 1
      }
      position += piece.count
    }
    return true
  }

  private static func stands(_ piece: [UInt8], in text: Span<UInt8>, at position: Int) -> Bool {
    for index in piece.indices where text[position + index] != piece[index] { return false }
    return true
  }
}
