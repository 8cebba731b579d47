import Addresses

/// What a `host` condition compares a name with.
package enum HostPattern: Sendable {
  case exact(Host)
}
