import CLinux
import Glibc

/// Program files, looked at for what keeps a library from being loaded into them (`LD_PRELOAD`, ld.so(8)).
package enum Executable {
  /// How many scripts are followed to their interpreters, as by the kernel.
  private static let mostInterpreters = 4

  /// Why `LD_PRELOAD` does not lead the connections of a program, with what to do about it; `nil` where nothing speaks
  /// against it, and where there is no such program.
  ///
  /// - Parameter name: looked for in PATH if it has no slash.
  package static func obstacleToPreloading(into name: String) -> String? {
    var name = name
    for _ in 0...mostInterpreters {
      guard let file = ProgramFile(path(of: name)) else { return nil }
      guard let interpreter = file.interpreter else { return obstacle(file) }
      name = interpreter
    }
    return nil
  }

  private static func obstacle(_ file: borrowing ProgramFile) -> String? {
    let advice = "its connections would go around the table (use a program that heeds ALL_PROXY instead)"
    if file.runsWithOtherRights {
      return "it runs with the rights of another user, and no library is loaded into it; \(advice)"
    }
    guard let image = ELF(file) else { return nil }
    if !image.is64Bit { return "it is a 32-bit program, and the library is not; \(advice)" }
    if !image.hasLoader { return "it is statically linked, and no library is loaded into it; \(advice)" }
    if image.isFromGo { return "Go programs connect without the C library; \(advice)" }
    return nil
  }

  private static func path(of name: String) -> String {
    guard !name.contains("/") else { return name }
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/bin:/usr/bin"
    let candidates = path.split(separator: ":").map { "\($0)/\(name)" }
    return candidates.first { unsafe access($0, X_OK) == 0 } ?? name
  }
}

/// The octets of a file, read where they are asked for.
private struct ProgramFile: ~Copyable {
  private let descriptor: Int32
  /// It is set-user-ID or set-group-ID, or has file capabilities: the loader then ignores `LD_PRELOAD`.
  let runsWithOtherRights: Bool

  init?(_ path: String) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    let changesUser = status.st_mode & S_ISUID != 0 && status.st_uid != getuid()
    let changesGroup = status.st_mode & S_ISGID != 0 && status.st_gid != getgid()
    let hasCapabilities = linux_has_capabilities(descriptor) == 1
    runsWithOtherRights = changesUser || changesGroup || hasCapabilities && getuid() != 0
  }

  deinit { close(descriptor) }

  /// Fewer octets at the end of the file.
  func octets(at offset: Int, count: Int) -> ArraySlice<UInt8> {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = unsafe bytes.withUnsafeMutableBytes {
      unsafe pread(descriptor, $0.baseAddress, $0.count, offset)
    }
    return bytes.prefix(max(0, got))
  }

  /// What runs it, where it is a script.
  var interpreter: String? {
    let line = octets(at: 0, count: 256).prefix { $0 != UInt8(ascii: "\n") }
    guard line.starts(with: Array("#!".utf8)) else { return nil }
    return line.dropFirst(2).split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.first.map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}

/// What the program headers of an ELF file say (elf(5)).
private struct ELF {
  let is64Bit: Bool
  /// Without one, nothing loads libraries: the program is statically linked.
  private(set) var hasLoader = false
  /// It has the note of the Go linker.
  private(set) var isFromGo = false

  private static let interpreterType = 3
  private static let noteType = 4

  /// `nil` for another kind of file.
  init?(_ file: borrowing ProgramFile) {
    let head = Array(file.octets(at: 0, count: 64))
    guard head.count == 64, head.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else { return nil }
    is64Bit = head[4] == 2
    // Little-endian, as this machine is; of other programs nothing more is told.
    guard is64Bit, head[5] == 1 else { return }
    let offset = Self.number(head[32..<40])
    let size = Self.number(head[54..<56])
    let count = Self.number(head[56..<58])
    guard size >= 56, offset < 1 << 40 else { return }
    for index in 0..<count {
      let header = Array(file.octets(at: offset + index * size, count: 56))
      guard header.count == 56 else { return }
      switch Self.number(header[0..<4]) {
      case Self.interpreterType: hasLoader = true
      case Self.noteType:
        let place = Self.number(header[8..<16])
        guard place < 1 << 40 else { continue }
        let notes = file.octets(at: place, count: min(4096, Self.number(header[32..<40])))
        // The name of a note, with its length before it: NUL-terminated and padded to four octets.
        isFromGo = isFromGo || notes.firstRange(of: [0x47, 0x6f, 0, 0]) != nil
      default: break
      }
    }
  }

  /// A little-endian number; those beyond `Int` become its largest.
  private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
    Int(clamping: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }
}
