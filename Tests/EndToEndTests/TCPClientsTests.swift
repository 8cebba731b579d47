import Foundation
import Testing

/// Programs that speak SOCKS4, and programs that are connected to (BIND), through Sockeye and other hops.
@Suite(.blocking)
struct TCPClientsTests {
  /// Sockeye in front of none, one and two hops, and what must outlive it.
  private final class Road: Sendable {
    let sockeye: Sockeye
    private let hops: [Sockeye]
    private let dante: Dante?

    init(hops count: Int) throws {
      let names = "hosts: {site.test: 127.0.0.1}\n"
      dante = count > 1 ? try Dante() : nil
      hops = count > 0 ? [try Sockeye(names + "default: direct\n")] : []
      switch count {
      case 0:
        sockeye = try Sockeye(names + "default: direct\n")
      case 1:
        sockeye = try Sockeye("upstreams: {exit: \"socks5://\(hops[0].address)\"}\ndefault: exit\n")
      default:
        sockeye = try Sockeye(
          """
          upstreams:
            dante: socks5://\(dante?.address ?? "")
            exit: socks4a://\(hops[0].address)
          default: [dante, exit]

          """)
      }
    }

    var address: String { sockeye.address }
  }

  @Test(arguments: [0, 1, 2])
  func `curl speaks SOCKS4 and SOCKS4a`(hops: Int) throws {
    let target = try HTTPTarget()
    let road = try Road(hops: hops)
    let byAddress = try Client.curl("--socks4", road.address, target.url)
    #expect(byAddress.output == [HTTPTarget.greeting], "\(byAddress)")
    let byName = try Client.curl("--socks4a", road.address, "http://site.test:\(target.port)/")
    #expect(byName.output == [HTTPTarget.greeting], "\(byName)")
    #expect(try road.sockeye.session(to: "site.test:\(target.port)").contains(" info connect client="))
  }

  @Test(arguments: [0, 1, 2])
  func `netcat speaks SOCKS4`(hops: Int) throws {
    let target = try HTTPTarget()
    let road = try Road(hops: hops)
    let exit = try ChildProcess.run(
      try Program("nc.openbsd", package: "netcat-openbsd"),
      ["-X", "4", "-x", road.address, "127.0.0.1", "\(target.port)"], input: "GET / HTTP/1.0\r\n\r\n")
    #expect(exit.output.last == HTTPTarget.greeting, "\(exit)")
  }

  @Test(arguments: [0, 1, 2])
  func `Perl is connected to`(hops: Int) throws {
    let road = try Road(hops: hops)
    let client = try Client.perlBind(through: road.address, answer: "hello peer")
    let bound = try client.line(containing: "awaited at ").dropFirst("awaited at ".count)
    let peer = try Socket(to: String(bound))
    try client.line(containing: "there is \(peer.localAddress)")
    try peer.send("hello client\n")
    try client.line(containing: "it says hello client")
    #expect(try peer.receiveToEnd() == (Array("hello peer\n".utf8), .end))
    #expect(try client.wait().status == 0)
  }

  @Test(arguments: [0, 1, 2], [4, 5])
  func `FTP is active, with tnftp and with curl`(hops: Int, version: Int) throws {
    let target = try FTPTarget()
    let road = try Road(hops: hops)
    let directory = try TemporaryDirectory()
    let url = "ftp://\(target.address)/\(FTPTarget.file)"
    let curl = try Client.socksify(
      through: road.address, version: version, try Program("curl", package: "curl"),
      ["-q", "-sS", "--max-time", "60", "--ftp-port", "-", "--disable-eprt", url], directory: directory.path)
    #expect(curl.output == [FTPTarget.content], "\(curl)")
    let tnftp = try Client.socksify(
      through: road.address, version: version, try Program("tnftp", package: "tnftp"),
      ["-A", "-o", "got.txt", url], directory: directory.path)
    let got = try String(contentsOfFile: directory.path + "/got.txt", encoding: .utf8)
    #expect(got == FTPTarget.content + "\n", "\(tnftp)")
    try eventually("two closing lines of BIND") {
      road.sockeye.log.count { $0.contains(" info bind client=") && $0.contains(" down=13 ") } == 2
    }
  }
}
