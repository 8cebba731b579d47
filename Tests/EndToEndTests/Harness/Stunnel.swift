import Foundation
import TLSPeer

/// stunnel: TLS before a server that knows none.
final class Stunnel: Sendable {
  let address: String
  let process: ChildProcess
  private let directory: TemporaryDirectory

  /// - Parameter authority: of clients, who need a certificate then.
  init(before server: String, _ certificate: Certificate, demanding authority: Certificate? = nil) throws {
    let port = FreePort.take()
    address = "127.0.0.1:\(port)"
    directory = try TemporaryDirectory()
    try directory.write(String(decoding: certificate.pem, as: UTF8.self), to: "certificate")
    try directory.write(String(decoding: certificate.keyPEM, as: UTF8.self), to: "key")
    var text = """
      foreground = yes
      pid =
      debug = info
      [hop]
      accept = \(address)
      connect = \(server)
      cert = \(directory.path)/certificate
      key = \(directory.path)/key

      """
    if let authority {
      let file = try directory.write(String(decoding: authority.pem, as: UTF8.self), to: "authority")
      text += "CAfile = \(file)\nverifyChain = yes\n"
    }
    process = try ChildProcess(
      try Program("stunnel4", package: "stunnel4"), [try directory.write(text, to: "stunnel.conf")])
    try process.line(containing: "Configuration successful")
    try waitUntilAccepting(address, process)
  }
}
