import Addresses
import Testing

@testable import Proxy

/// G16: who may answer.
struct ContactsTests {
  static let here = IPAddress.v4(0xcb00_7101)
  static let there = IPAddress.v4(0xcb00_7102)

  static func name(_ text: String, _ port: UInt16) throws -> Endpoint {
    Endpoint(.name(try DomainName(text)), port: port)
  }

  @Test func `an address that was sent to may answer from any port, others may not`() throws {
    let contacts = Contacts()
    let entry = contacts.add(Endpoint(Self.here, port: 53))
    #expect(contacts.contains(Endpoint(Self.here, port: 53)))
    #expect(contacts.contains(Endpoint(Self.here, port: 54)))
    #expect(!contacts.contains(Endpoint(Self.there, port: 53)))
    #expect(try !contacts.contains(Self.name("here.test", 53)))
    withExtendedLifetime(entry) {}
  }

  @Test func `behind a name that a hop resolves may stand any address, with the same port`() throws {
    let contacts = Contacts()
    let entry = try contacts.add(Self.name("here.test", 53))
    #expect(contacts.contains(Endpoint(Self.here, port: 53)))
    #expect(contacts.contains(Endpoint(Self.there, port: 53)))
    #expect(!contacts.contains(Endpoint(Self.here, port: 54)))
    withExtendedLifetime(entry) {}
  }

  @Test func `a name that was asked may answer, another name may not`() throws {
    let contacts = Contacts()
    let entry = try contacts.add(Self.name("here.test", 53))
    #expect(try contacts.contains(Self.name("here.test", 53)))
    #expect(try contacts.contains(Self.name("HERE.test.", 54)))
    #expect(try !contacts.contains(Self.name("there.test", 53)))
    withExtendedLifetime(entry) {}
  }

  @Test func `a contact is one for as long as the last that knows it`() throws {
    for (destination, sources) in [
      (Endpoint(Self.here, port: 53), [Endpoint(Self.here, port: 53)]),
      (try Self.name("here.test", 53), [try Self.name("here.test", 53), Endpoint(Self.there, port: 53)]),
    ] {
      for source in sources {
        let contacts = Contacts()
        var entries = [contacts.add(destination), contacts.add(destination)]
        #expect(contacts.contains(source))
        entries.removeLast()
        #expect(contacts.contains(source))
        entries.removeLast()
        #expect(!contacts.contains(source))
      }
    }
  }
}
