import Addresses
import Config
import Printing
import Routing
import Settings

/// `sockeye explain`: says what a table decides, and why, without opening a connection.
func explain(_ options: ExplainOptions) -> ExitStatus {
  let result = ConfigurationLoader().load(options.table ?? defaultTable)
  for diagnostic in result.diagnostics { Console.error.write(diagnostic) }
  guard let configuration = result.configuration else { return .failed }
  guard let listener = configuration.listener(of: options.origin) else { return .wrongUsage }
  for destination in options.destinations {
    let request = Request(options.command, to: destination, from: options.origin, at: listener)
    let explanation = Explanation(of: request, by: configuration, all: options.all)
    Console.output.write(options.json ? explanation.json.description : explanation.text)
  }
  return .done
}

extension Request {
  init(_ command: Command, to destination: Endpoint, from origin: Origin, at listener: ListenerID) {
    self.init(command, to: destination, client: origin.client, user: origin.user, listener: listener)
  }
}

extension Configuration {
  /// The listener that a request is supposed to come to; `nil`, with an error, when the table has none of that name.
  func listener(of origin: Origin) -> ListenerID? {
    let known = listeners.map(\.id)
    guard let name = origin.listener else { return known.first }
    if let listener = known.first(where: { $0.name == name || $0.address == name }) { return listener }
    let list = known.map { $0.name ?? $0.address }.joined(separator: ", ")
    Console.error.write("sockeye: the table has no listener '\(name)' (it has \(list))".printable)
    return nil
  }
}
