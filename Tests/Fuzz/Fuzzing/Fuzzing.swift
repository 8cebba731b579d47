import CFuzzer

/// Runs libFuzzer with the program's arguments. It calls `target` with one input after the other, and `target`
/// returns 0.
package func fuzz(_ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt) {
  var count = CommandLine.argc
  var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
  // With a finding, and when its time is up, libFuzzer ends the process by itself.
  _ = unsafe LLVMFuzzerRunDriver(&count, &arguments, target)
}

/// The input libFuzzer speaks of.
package func octets(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
  unsafe Array(UnsafeBufferPointer(start: start, count: count))
}

/// Ends the process, which libFuzzer records as a finding, unless `holds`.
package func check(_ holds: Bool, _ promise: StaticString) {
  // Unlike a precondition, it says so in an optimized build too.
  if !holds { fatalError("broken promise: \(promise)") }
}
