import Addresses
import Testing

@testable import Proxy

/// G16: who may answer.
struct ContactsTests {
  static let here = IPAddress.v4(0xcb00_7101)
  static let there = IPAddress.v4(0xcb00_7102)

  @Test func `an address that was sent to may answer from any port, others may not`() {
    let contacts = Contacts()
    let entry = contacts.add(.address(Self.here))
    #expect(contacts.contains(SocketAddress(Self.here, port: 53)))
    #expect(contacts.contains(SocketAddress(Self.here, port: 54)))
    #expect(!contacts.contains(SocketAddress(Self.there, port: 53)))
    withExtendedLifetime(entry) {}
  }

  @Test func `behind a name that a hop resolves may stand any address, with the same port`() {
    let contacts = Contacts()
    let entry = contacts.add(.named(port: 53))
    #expect(contacts.contains(SocketAddress(Self.here, port: 53)))
    #expect(contacts.contains(SocketAddress(Self.there, port: 53)))
    #expect(!contacts.contains(SocketAddress(Self.here, port: 54)))
    withExtendedLifetime(entry) {}
  }

  @Test func `a contact is one for as long as the last that knows it`() {
    let contacts = Contacts()
    let source = SocketAddress(Self.here, port: 53)
    var entries = [contacts.add(.address(Self.here)), contacts.add(.address(Self.here))]
    #expect(contacts.contains(source))
    entries.removeLast()
    #expect(contacts.contains(source))
    entries.removeLast()
    #expect(!contacts.contains(source))
  }
}
