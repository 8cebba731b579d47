/// `sockeye serve`.
func serve(_ options: ServeOptions) async -> ExitStatus {
  Console.error.write("sockeye: serve is not built yet")
  return .failed
}
