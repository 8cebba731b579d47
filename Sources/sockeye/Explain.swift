import Addresses
import Config
import Printing
import Routing
import Settings

/// `sockeye explain`: says what a table decides, and why, without opening a connection.
func explain(_ options: ExplainOptions) -> ExitStatus {
  let result = ConfigurationLoader().load(options.table)
  for diagnostic in result.diagnostics { Console.error.write(diagnostic) }
  guard let configuration = result.configuration else { return .failed }
  guard var listener = configuration.listeners.first?.id else { return .failed }
  if let name = options.listener {
    guard
      let named = configuration.listeners.map(\.id).first(where: { $0.name == name || $0.address == name })
    else {
      let known = configuration.listeners.map { $0.id.name ?? $0.id.address }.joined(separator: ", ")
      Console.error.write("sockeye: the table has no listener '\(name)' (it has \(known))".printable)
      return .wrongUsage
    }
    listener = named
  }
  for destination in options.destinations {
    let request = Request(
      options.command, to: destination, client: options.client, user: options.user, listener: listener)
    let explanation = Explanation(of: request, by: configuration, all: options.all)
    Console.output.write(options.json ? explanation.json.description : explanation.text)
  }
  return .done
}
