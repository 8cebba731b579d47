import Addresses
import Config
import Foundation
import Routing
import Testing

@testable import sockeye

/// How a table's verdict on a request is explained.
func explained(
  _ destination: String, by table: String, _ command: Request.Command = .connect, user: String? = nil,
  listener: ListenerID = ListenerID(address: "127.0.0.1:1080"), all: Bool = false
) throws -> Explanation {
  let surroundings = Surroundings(
    file: { _ throws(Surroundings.ReadFailure) in throw Surroundings.ReadFailure(message: "is not there") },
    variable: { _ in nil })
  let result = ConfigurationLoader(surroundings)
    .load(Surroundings.File(bytes: Array(table.utf8)), named: "t.yaml")
  let configuration = try #require(result.configuration, "\(result.diagnostics)")
  let request = Request(
    command, to: try #require(Endpoint(destination)), user: user, listener: listener)
  return Explanation(of: request, by: configuration, all: all)
}

/// The object that `explain --json` prints.
func members(of explanation: Explanation) throws -> [String: Any] {
  let object = try JSONSerialization.jsonObject(with: Data(explanation.json.description.utf8))
  return try #require(object as? [String: Any])
}
