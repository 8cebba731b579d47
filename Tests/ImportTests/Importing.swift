import Config
import Import
import Routing
import Settings
import Testing

/// What becomes of a proxychains.conf.
func imported(_ conf: String) -> ImportedTable { imported(Array(conf.utf8)) }

func imported(_ bytes: [UInt8]) -> ImportedTable {
  ImportedTable(proxychains: bytes, named: "p.conf")
}

extension ImportedTable {
  /// As they are printed, without the file's name: `LINE:COLUMN: error: …`.
  var messages: [String] {
    diagnostics.map {
      let text = $0.description
      return String(text.trimmingPrefix("p.conf:").trimmingPrefix(" "))
    }
  }

  var lines: [String] { text?.split(separator: "\n").map(String.init) ?? [] }

  /// The lines of the table from the one that begins so, up to an empty one.
  func section(_ beginning: String) -> [String] {
    let lines = text?.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) ?? []
    guard let first = lines.firstIndex(where: { $0.hasPrefix(beginning) }) else { return [] }
    return Array(lines[first...].prefix { !$0.isEmpty })
  }

  /// The table, as the program reads it.
  func loaded() throws -> Configuration {
    let text = try #require(text, "\(messages)")
    let surroundings = Surroundings(
      file: { _ throws(Surroundings.ReadFailure) in throw Surroundings.ReadFailure(message: "is not there") },
      variable: { _ in nil })
    let result = ConfigurationLoader(surroundings)
      .load(Surroundings.File(bytes: Array(text.utf8)), named: "t.yaml")
    return try #require(result.configuration, "\(result.diagnostics)")
  }
}

/// Every directive, and every form of a proxy.
let fullConf = """
  # remarks are left out
  random_chain
  chain_len = 2
  quiet_mode
  proxy_dns
  remote_dns_subnet 224
  tcp_read_time_out 15000
  tcp_connect_time_out 8000
  localnet 127.0.0.0/255.0.0.0
  localnet [::]:80/0
  localnet 10.0.0.0:8080/8
  dnat 192.0.2.1:1234  192.0.2.2:443
  dnat 192.0.2.1  192.0.2.2
  [ProxyList]
  \tsocks5\t192.0.2.78\t1080\tlamer\tse:c@ret
  http 192.0.2.3 8080 justu hidden
  socks4 192.0.2.49 1080 me
  socks5://u:p w@h@proxy.example:1080
  socks5 2001:db8::1 1081

  """
