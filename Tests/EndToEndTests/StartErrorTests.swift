import Foundation
import Testing

/// Errors that keep the program from starting.
@Suite(.blocking)
struct StartErrorTests {
  @Test(arguments: ["serve", "run"])
  func `an error at the start ends it though its standard error is full, and nobody reads it`(
    command: String
  ) throws {
    let directory = try TemporaryDirectory()
    let table = try directory.write("listen: 127.0.0.1:0\ndefault: direct\n", to: "t.yaml")
    // dd fills the pipe. Five descriptors are too few for the first thread of the program.
    let script = """
      exec 3>&1
      program=$0
      {
        dd if=/dev/zero bs=4096 count=100000 oflag=nonblock 2>/dev/null
        (exec 2>&1 >/dev/null 3>&-; ulimit -n 5; exec "$program" "$@")
        echo "status $?" >&3
      } | sleep 600
      """
    let arguments = command == "serve" ? ["serve", table] : ["run", table, "--", "true"]
    let shell = try ChildProcess(
      Program(path: "/bin/sh"), ["-c", script, try Sockeye.program().path] + arguments)
    #expect(try shell.lines.wait(for: "its end") { $0.first { $0.hasPrefix("status") } } == "status 1")
  }

  @Test func `without the memory for its threads to compute hashes it does not start, and says so`() throws {
    let directory = try TemporaryDirectory()
    // 256 TiB, more than a process can address.
    let hash = "$y$jXT$saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6"
    let table = try directory.write(
      "listen: {address: \"127.0.0.1:0\", users: {bob: \(hash)}}\ndefault: direct\n", to: "t.yaml")
    let exit = try ChildProcess.run(try Sockeye.program(), ["serve", table])
    #expect(exit.status == 1)
    #expect(
      exit.errors.contains { $0.contains("of memory are left for clients and the hashes of their logins") },
      "\(exit)")
  }
}
