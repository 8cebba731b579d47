import Foundation

extension ChildProcess {
  /// How many TCP sockets it listens with.
  var listenerCount: Int {
    get throws {
      let directory = "/proc/\(identifier)/fd"
      let own = Set(
        try FileManager.default.contentsOfDirectory(atPath: directory).compactMap {
          // It may be closed by now.
          try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\($0)")
        })
      let tables = try ["tcp", "tcp6"].map { name in
        // A file of /proc comes in many short reads.
        guard let file = FileHandle(forReadingAtPath: "/proc/\(identifier)/net/\(name)") else { return "" }
        return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
      }
      return tables.joined().split(separator: "\n").count { line in
        let fields = line.split(separator: " ")
        // The fourth field is the state, of which 0A is LISTEN, and the tenth the socket's number.
        return fields.count > 9 && fields[3] == "0A" && own.contains("socket:[\(fields[9])]")
      }
    }
  }

  func waitForListeners(_ count: Int) throws {
    try eventually("\(count) listeners; there are \(try listenerCount)") { try listenerCount == count }
  }
}
