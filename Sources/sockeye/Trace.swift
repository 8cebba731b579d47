/// `sockeye trace`.
func trace(_ options: TraceOptions) async -> ExitStatus {
  Console.error.write("sockeye: trace is not built yet")
  return .failed
}
