/// How many tunnels are kept open up to the last hop of a chain, for connections to come.
package enum Warmth: Hashable, Sendable {
  /// As many as recent use calls for, where that saves time.
  case auto
  /// So many once the chain was used; 0 is none.
  case count(Int)
}
