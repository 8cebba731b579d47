import CPCRE2

/// A Perl-compatible regular expression, compiled once, whose matching is bounded.
///
/// Letters match in either case. It is searched for anywhere in the text unless it anchors itself.
///
/// PCRE2's interpreter and not its JIT compiler: the JIT ignores the depth and heap limits, and it needs memory that
/// is both writable and executable, which a hardened service does not have.
///
/// `@safe` holds because `code` and `limits` are freed in `deinit` only, the match data belongs to one call, and each text is
/// passed with its own length.
@safe package final class RegularExpression: Sendable {
  /// Why a text is not a regular expression.
  package struct Violation: Error, Hashable, Sendable {
    /// In PCRE2's words, such as `missing closing parenthesis`.
    package let message: String
    /// Where in the pattern, in octets from 0; its length when the end is to blame.
    package let offset: Int
  }

  package enum Match: Hashable, Sendable {
    case matched
    case notMatched
    /// A limit was reached before it was known.
    case gaveUp
  }

  package let pattern: String

  // Both are written in `init` only. PCRE2 reads compiled code and contexts without changing them, so threads
  // may share them (pcre2api, "Multithreading"); what a match writes is the match data it creates for itself.
  private nonisolated(unsafe) let code: OpaquePointer
  private nonisolated(unsafe) let limits: OpaquePointer

  /// How often one attempt may go back, for each octet of the text at which an attempt can start.
  ///
  /// A sensible pattern needs some hundred for a host name. The greatest cost, a text of 253 octets at each of which
  /// an attempt just stays below the limit, is some ten milliseconds.
  private static let matchLimit: UInt32 = 4000
  private static let depthLimit: UInt32 = 4000
  private static let heapLimitInKibibytes: UInt32 = 2048

  package init(_ pattern: String) throws(Violation) {
    var error: CInt = 0
    var offset = 0
    let options =
      UInt32(PCRE2_CASELESS) | UInt32(PCRE2_NEVER_UTF) | UInt32(PCRE2_NEVER_UCP)
      | UInt32(PCRE2_NEVER_BACKSLASH_C)
    let compiled = unsafe pattern.utf8Span.span.withUnsafeBufferPointer { octets in
      unsafe pcre2_compile_8(octets.baseAddress, octets.count, options, &error, &offset, nil)
    }
    guard let compiled = unsafe compiled else {
      throw Violation(message: Self.message(for: error), offset: offset)
    }
    guard let context = unsafe pcre2_match_context_create_8(nil) else {
      unsafe pcre2_code_free_8(compiled)
      throw Violation(message: "out of memory", offset: 0)
    }
    unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
    unsafe pcre2_set_depth_limit_8(context, Self.depthLimit)
    unsafe pcre2_set_heap_limit_8(context, Self.heapLimitInKibibytes)
    unsafe code = compiled
    unsafe limits = context
    self.pattern = pattern
  }

  deinit {
    unsafe pcre2_match_context_free_8(limits)
    unsafe pcre2_code_free_8(code)
  }

  /// Whether the pattern is found in `text`.
  package func match(_ text: String) -> Match {
    // One pair: PCRE2 counts the groups that do not fit, but a match stays a match.
    guard let data = unsafe pcre2_match_data_create_8(1, nil) else { return .gaveUp }
    defer { unsafe pcre2_match_data_free_8(data) }
    let result = unsafe text.utf8Span.span.withUnsafeBufferPointer { octets in
      unsafe pcre2_match_8(code, octets.baseAddress, octets.count, 0, 0, data, limits)
    }
    return result >= 0 ? .matched : result == PCRE2_ERROR_NOMATCH ? .notMatched : .gaveUp
  }

  private static func message(for error: CInt) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = unsafe buffer.withUnsafeMutableBufferPointer { octets in
      unsafe pcre2_get_error_message_8(error, octets.baseAddress, octets.count)
    }
    return String(decoding: buffer.prefix(max(0, Int(count))), as: UTF8.self)
  }
}
