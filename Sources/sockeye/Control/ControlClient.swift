import Config
import Transport

/// `sockeye status`, `sockeye reload`: asks the running program, and prints what it answers.
func ask(_ options: ControlOptions) async -> ExitStatus {
  let table = options.table ?? defaultTable
  let (path, diagnostics) = ConfigurationLoader().control(of: table)
  for diagnostic in diagnostics { Console.error.write(diagnostic) }
  guard let path else {
    if diagnostics.isEmpty {
      fail(
        "\(table) does not say where the program can be asked"
          + " (add 'control: unix:/run/sockeye/control.sock', and restart the program)")
    }
    return .failed
  }
  do {
    let loop = try EventLoop(carriesDatagrams: false)
    let answer = try await Task(executorPreference: loop) {
      try await exchange(options.request, at: path, on: loop)
    }.value
    guard let answer else {
      fail("what answers at unix:\(path) is not sockeye, or ended before it had answered")
      return .failed
    }
    Console.print(answer)
    return answer.status
  } catch {
    fail(complaint(error, path))
    return .failed
  }
}

/// Until the request is acknowledged, or answered.
private let acknowledgementTime = Duration.seconds(10)
/// For the whole answer, which may take a large table to be read.
private let patience = Duration.seconds(120)
/// A status of a million upstreams is smaller.
private let longestAnswer = 256 << 20

/// `nil` for what is no answer.
private func exchange(
  _ request: ControlRequest, at path: String, on loop: EventLoop
) async throws(Errno) -> ControlAnswer? {
  let deadline = Deadline.after(patience)
  let server = try TCPStream(connectingToUnix: path, on: loop)
  do throws(Errno) {
    try await server.write(Array("\(request.line)\n".utf8), until: deadline)
  } catch .brokenPipe {
    // It answers without having listened: it says why.
  }
  var input: [UInt8] = []
  let isAnswering: Bool
  do throws(Errno) {
    isAnswering = try await server.read(into: &input, until: .after(acknowledgementTime))
  } catch .timedOut {
    throw .wouldBlock
  }
  while isAnswering, input.count < longestAnswer,
    try await server.read(into: &input, atMost: EventLoop.scratchSize, until: deadline)
  {}
  return ControlAnswer(parsing: input)
}

private func fail(_ message: String) {
  Console.error.write("sockeye: \(message)".printable)
}

private func complaint(_ error: any Error, _ path: String) -> String {
  switch error as? Errno {
  case .noSuchFile, .connectionRefused:
    "nobody answers at unix:\(path): the program does not run, or was started without this 'control'"
      + " (start it, or restart it)"
  case .permissionDenied:
    "unix:\(path) is closed to this user (ask as root, or as the user that runs the program)"
  // From connect(2) too: more wait to be accepted than there is room for.
  case .wouldBlock:
    "the program has not taken the request at unix:\(path) for 10 seconds"
      + " (is it stopped, or reading a large table? its log says what it does)"
  case .timedOut: "the program has not answered at unix:\(path) for two minutes"
  default: "cannot ask at unix:\(path): \(error)"
  }
}

extension Console {
  /// Prints each line where it belongs.
  fileprivate static func print(_ answer: ControlAnswer) {
    for line in answer.lines {
      switch line.kind {
      case .output: output.write(line.text)
      case .heading: output.write(output.styled(line.text, .bold))
      case .alarm: output.write(output.styled(line.text, .red))
      case .error: error.write(line.text)
      }
    }
  }
}
