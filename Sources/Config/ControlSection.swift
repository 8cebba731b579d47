import Settings

/// `control:`.
extension TableReader {
  private static let controlForm = Form("where the program is asked things", "unix:/run/sockeye/control.sock")

  /// The path of the socket.
  func readControl(_ node: Node) -> String? {
    guard let text = text(node, Self.controlForm) else { return nil }
    guard case .unix(let path)? = Self.address(text) else {
      error(
        node,
        "\(quoted(node)) is not 'unix:' and a path that starts with '/' and has at most 107 octets"
          + " (write unix:/run/sockeye/control.sock)")
      return nil
    }
    if listeners.contains(where: { $0.address.collides(with: .unix(path: path)) }) {
      error(node, "\(quoted(node)) is listened on for clients (choose another path)")
      return nil
    }
    return path
  }
}
