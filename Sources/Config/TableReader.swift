import Addresses
import Routing
import Settings
import TLS

/// Reads one file. Each section has a file of its own, as an extension; this one says in which order they go.
///
/// Nothing here throws: an error is written to the log, and reading goes on, so that one run shows all of them.
final class TableReader {
  let file: String
  let surroundings: Surroundings
  private let isReadableByOthers: Bool
  private var hasWarnedOfPassword = false
  /// A search compares a word with up to 500 others: a hundred of them are some 10 ms, and no table has more slips that
  /// are made by hand.
  private var suggestionsLeft = 100
  var log = DiagnosticLog()

  /// What the names of the table stand for.
  var names = Names()
  /// The listeners of the table, in its order.
  var listeners: [Listener] = []
  /// Those of the table that `--listen` replaces: what names them would never hold.
  var replacedListeners: Set<ListenerID> = []
  var ownListeners = OwnListeners()
  var userNames = UserNames()
  var hasWarnedOfUsers = false
  /// Those that were made; upstreams of which the same is demanded share one.
  var tlsContexts: [TLSContext.Demands: TLSContext] = [:]
  /// One context for each set of authorities, which all others with the same share.
  var tlsTrust: [TLSContext.Trust: TLSContext] = [:]

  init(file: String, isReadableByOthers: Bool, surroundings: Surroundings) {
    self.file = file
    self.isReadableByOthers = isReadableByOthers
    self.surroundings = surroundings
  }

  private static let keys = Keys(
    [
      "listen", "upstreams", "groups", "chains", "routes", "default", "hosts", "dns", "tests", "timeouts",
      "limits", "log", "control",
    ],
    later: ["lists", "tables"])

  /// The configuration, or `nil` after errors.
  func read(_ bytes: [UInt8], listening: ConfigurationLoader.Listening) -> Configuration? {
    guard let root = document(bytes) else { return nil }
    guard let table = fields(root, "a route table", "default: direct", Self.keys) else { return nil }

    listeners = readListeners(table["listen"])
    let known = listeners
    userNames = UserNames(of: listeners, mayBeOthers: log.hasErrors)
    if case .on(let addresses) = listening, !addresses.isEmpty {
      replacedListeners = Set(known.map(\.id))
      listeners = readListeners(arguments: addresses)
    }
    var opened = listeners
    if case .privately = listening { opened = listeners.prefix(1).map { .privateOne(as: $0.id) } }
    ownListeners = OwnListeners(opened)

    let upstreams = table["upstreams"].map(readUpstreams) ?? []
    // All names first: they may stand in each other in any order.
    let named = (table["groups"].map(readGroups) ?? []) + (table["chains"].map(readChains) ?? [])
    let groups = named.compactMap { name in
      if case .stop(.group(let group), _, _) = resolve(declared: name) { group } else { nil }
    }
    let routes = table["routes"].map { readRoutes($0, listeners: listeners) } ?? []
    let fallback = readDefault(table["default"], at: root.position)
    let hosts = table["hosts"].map(readHosts) ?? HostOverrides()
    let nameServers = table["dns"].map(readNameServers) ?? NameServers()
    let timeouts = table["timeouts"].map(readTimeouts) ?? Timeouts()
    let limits = table["limits"].map(readLimits) ?? Limits()
    let log = table["log"].map(readLog) ?? Log()
    let control = table["control"].flatMap(readControl)
    let tests = table["tests"].map { readTests($0, listeners: listeners) } ?? []

    guard let fallback, !self.log.hasErrors else { return nil }
    let routeTable = RouteTable(routes: routes.map(\.route), fallback: fallback)
    warnOfIdleIsolations(at: known)
    warnOfBypassedPrefixes(routes, fallback: fallback)
    warnOfHiddenRoutes(routes, in: routeTable)
    warnOfLostUDP(routes, in: routeTable, default: table["default"]?.position)
    run(tests, on: routeTable)
    guard !self.log.hasErrors else { return nil }
    return Configuration(
      listeners: opened, table: routeTable, hosts: hosts, nameServers: nameServers, timeouts: timeouts,
      limits: limits, log: log, control: control, upstreams: upstreams, groups: groups)
  }

  /// The value of `control`, whatever else is wrong with the table, or why it is not known.
  func readControl(in bytes: [UInt8]) -> (socket: String?, diagnostics: [Diagnostic]) {
    guard let root = document(bytes) else {
      // The rest is no YAML: the lines of this key may be.
      let reader = TableReader(
        file: file, isReadableByOthers: isReadableByOthers, surroundings: surroundings)
      if let lines = Self.lines(of: "control", in: bytes), let root = reader.document(lines),
        let node = root.entries.first?.value, let socket = reader.readControl(node)
      {
        return (socket, [])
      }
      return (nil, log.sorted(startingWith: file))
    }
    guard let node = root.entries.first(where: { $0.key.text == "control" })?.value else { return (nil, []) }
    let socket = readControl(node)
    let own = log.sorted(startingWith: file).filter { $0.position == node.position }
    return (socket, socket == nil ? own : [])
  }

  /// The line that begins with a key at the top of a table, with the indented lines behind it; `nil` unless there is
  /// exactly one.
  private static func lines(of key: String, in bytes: [UInt8]) -> [UInt8]? {
    let breaks: Set<UInt8> = [UInt8(ascii: "\n"), UInt8(ascii: "\r")]
    var found: [UInt8] = []
    var isInside = false
    var count = 0
    for line in bytes.dropFirst(Scan(bytes, limit: 1).start).split(whereSeparator: breaks.contains) {
      isInside =
        line.starts(with: "\(key):".utf8) || isInside && line.first.map { $0 == UInt8(ascii: " ") } == true
      guard isInside else { continue }
      if line.first != UInt8(ascii: " ") { count += 1 }
      found += line + [UInt8(ascii: "\n")]
    }
    return count == 1 ? found : nil
  }

  private func document(_ bytes: [UInt8]) -> Node? {
    guard bytes.count <= Surroundings.largestFile else {
      error(nil, "the file is larger than 64 MiB (divide it)")
      return nil
    }
    let scan = Scan(bytes, limit: DiagnosticLog.capacity)
    for finding in scan.findings { error(finding.position, finding.message) }
    guard scan.findings.isEmpty else { return nil }

    var composer = Composer(separators: scan.separators, environment: surroundings.variable) { [self] in
      error($0, $1)
    }
    do throws(YAMLParser.Violation) {
      if let root = try composer.compose(bytes[scan.start...]).root, !root.isNull { return root }
      error(Position(line: 1, column: 1), "the file is empty (write at least 'default: direct')")
    } catch {
      self.error(error.position, "\(error.problem) (\(Self.advice(on: error.problem)))")
    }
    return nil
  }

  /// What usually lies behind libyaml's words.
  private static func advice(on problem: String) -> String {
    switch problem {
    case "mapping values are not allowed in this context":
      "there is one ': ' too many in this line, or the indentation is wrong"
    case "could not find expected ':'": "write 'key: value'"
    case "did not find expected key", "did not find expected '-' indicator":
      "look at the indentation of this line and the one before"
    case "did not find expected ',' or ']'", "did not find expected ',' or '}'": "a bracket is not closed"
    case "found unexpected end of stream": "a quote is not closed"
    case "found character that cannot start any token": "put the value in quotes"
    case let text where text.hasPrefix("there are more") || text.hasPrefix("values are nested"):
      "no route table needs that many"
    default: "look at the indentation, the quotes and the brackets here"
    }
  }
}

// MARK: - Reporting

extension TableReader {
  func error(_ position: Position?, _ message: String) {
    log.append(Diagnostic(severity: .error, file: file, position: position, message: message))
  }

  func error(_ node: Node, _ message: String) {
    error(node.position, message)
  }

  func warning(_ position: Position, _ message: String) {
    log.append(Diagnostic(severity: .warning, file: file, position: position, message: message))
  }

  /// A near word, for the first errors only: who has more slips than that mends the first ones first.
  ///
  /// - Parameter candidates: made only when they are compared.
  func suggest(for word: String, among candidates: @autoclosure () -> some Sequence<String>) -> String? {
    guard suggestionsLeft > 0 else { return nil }
    suggestionsLeft -= 1
    return suggestion(for: word, among: candidates())
  }

  /// Notes that a password stands in the table itself: worth a warning when everyone can read it.
  ///
  /// - Parameter alternative: where else it could stand.
  func holdsSecret(_ node: Node, alternative: String) {
    guard isReadableByOthers, !node.isExpanded, !hasWarnedOfPassword else { return }
    hasWarnedOfPassword = true
    let advice = "chmod o-r this file, or \(alternative)"
    warning(node.position, "every user of this machine can read this password (\(advice))")
  }

  /// Where a file lies that the table names: a relative path starts beside the table.
  func path(of name: String) -> String {
    guard !name.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return name }
    return file[...slash] + name
  }

  func contents(of node: Node, path: String) -> Surroundings.File? {
    do throws(Surroundings.ReadFailure) {
      var file = try surroundings.file(path)
      // Windows editors put it before text. In a name or a password it would be a part that nobody sees.
      if file.bytes.starts(with: Scan.byteOrderMark) { file.bytes.removeFirst(Scan.byteOrderMark.count) }
      return file
    } catch {
      self.error(node, "the file \(quoted(path)) \(error.message) (name a file that this user can read)")
      return nil
    }
  }
}
