import Glibc

/// Small files, read and written whole.
enum Files {
  /// At most the first 4 KiB; empty when there is no such file.
  static func read(_ path: String) -> String {
    let file = unsafe open(path, O_RDONLY)
    guard file >= 0 else { return "" }
    defer { close(file) }
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
      count = unsafe max(0, Glibc.read(file, buffer.baseAddress, buffer.count))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func write(_ text: String, to path: String) throws(Machine.Failure) {
    let bytes = Array(text.utf8)
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    defer { close(file) }
    let count = unsafe bytes.withUnsafeBufferPointer { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
    guard count == bytes.count else { throw Machine.Failure(description: "cannot write \(path)") }
  }

  /// What stands in a directory.
  static func names(in path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}

/// A directory of this process's own.
struct TemporaryDirectory {
  let path = "/tmp/sockeye-benchmark.\(getpid())"

  /// Others may read in it: some servers change their user before they read their file.
  init() throws(Machine.Failure) {
    guard unsafe mkdir(path, 0o755) == 0 else { throw Machine.Failure(description: "cannot make \(path)") }
  }

  func remove() {
    for name in Files.names(in: path) { unsafe unlink("\(path)/\(name)") }
    unsafe rmdir(path)
  }
}
