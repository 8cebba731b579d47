import Addresses

/// A SOCKS5 server to go through.
enum HopServer: String, CaseIterable {
  case microsocks, dante, sockeye

  var port: UInt16 {
    switch self {
    case .microsocks: 1081
    case .dante: 1082
    case .sockeye: 1083
    }
  }

  /// microsocks loses what comes behind a message in the same segment.
  var standsPipelining: Bool { self != .microsocks }

  var program: String {
    switch self {
    case .microsocks: "microsocks"
    case .dante: "danted"
    case .sockeye: "\(Machine.programDirectory)/sockeye"
    }
  }

  func arguments(at address: IPAddress, file: String) -> [String] {
    switch self {
    case .microsocks: [program, "-i", "\(address)", "-p", "\(port)"]
    case .dante: [program, "-f", file]
    case .sockeye: [program, "serve", file, "--log-level", "warning"]
    }
  }

  func configuration(at address: IPAddress) -> String? {
    switch self {
    case .microsocks: nil
    case .dante:
      """
      logoutput: stderr
      internal: \(address) port = \(port)
      external: on
      clientmethod: none
      socksmethod: none
      user.privileged: root
      user.unprivileged: nobody
      client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
      socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect }
      """
    case .sockeye:
      """
      listen: {address: "\(address):\(port)", open: true}
      default: direct
      """
    }
  }
}
