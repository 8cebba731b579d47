/// What `--help` prints.
enum Help {
  static func text(_ command: Command?) -> String {
    switch command {
    case nil: program
    case .serve: serve
    case .check: check
    case .explain: explain
    case .trace: trace
    case .run: run
    case .status: status
    case .reload: reload
    case .rotate: rotate
    case .import: importing
    }
  }

  private static let program = """
    sockeye: a SOCKS server that sends each connection and each datagram directly or through
    a chain of proxies, as a route table says.

    usage: sockeye COMMAND [OPTIONS] …

      serve [TABLE]                 run
      check [TABLE…]                say everything that is wrong with route tables
      explain [TABLE] DESTINATION…  say what would happen to a connection, and why
      trace [TABLE] DESTINATION     dial it, and say how each hop went
      run [TABLE] -- COMMAND…       start a command, and carry the connections it makes by proxy
      status [TABLE]                say how the running program stands
      reload [TABLE]                have it read its table again
      rotate [TABLE] [UPSTREAM…]    have it come to proxies as somebody else
      import FILE                   make a route table of a proxychains.conf

      help [COMMAND], --help, -h    explain a command: sockeye serve --help
      --version, -V                 say which version this is

    TABLE is a route table file; without one, sockeye.yaml in this directory, else
    /etc/sockeye/sockeye.yaml. Options may stand anywhere; -- ends them. Exit status: 0 done; 1 it did not hold or did
    not work; 2 the command line is wrong.

    example:
      sockeye serve Routes/quickstart.yaml
      curl --socks5-hostname 127.0.0.1:1080 https://example.com
    """

  private static let serve = """
    usage: sockeye serve [TABLE] [OPTIONS]

    Runs the route table TABLE; without one, sockeye.yaml in this directory, else
    /etc/sockeye/sockeye.yaml. Says 'listening on ADDRESS' when it accepts connections.

      --listen ADDRESS     listen there and not where the table says; may be repeated.
                           An address and a port, or unix:/path
      --workers N          threads that carry connections (default: one per core)
      --log-level LEVEL    error, warning, info or debug
      --log-format FORMAT  text or json

    SIGTERM or SIGINT: accept no more, let connections finish for 'timeouts.drain', end; a
    second one ends at once. SIGHUP, or 'sockeye reload': read the table again; one with
    errors is refused, and the old one stays.

    example:
      sockeye serve --listen 127.0.0.1:1090 Routes/quickstart.yaml
    """

  private static let check = """
    usage: sockeye check [TABLE…]

    Prints every error and warning in the route tables, those of their 'tests' included,
    as FILE:LINE:COLUMN: error: MESSAGE. Silent, with exit status 0, when all is well;
    warnings alone leave the status 0. Without a TABLE, that of 'serve'.

    example:
      sockeye check /etc/sockeye/sockeye.yaml
    """

  private static let explain = """
    usage: sockeye explain [TABLE] DESTINATION… [OPTIONS]

    Says what TABLE decides for each DESTINATION (HOST:PORT) and which route does. Opens no
    connection and resolves no name. TABLE is looked for as 'serve' does.

      --network NETWORK    tcp (default) or udp: where a datagram goes
      --command COMMAND    connect (default), bind or udp
      --user NAME          as if this user asked
      --client ADDRESS     as if the client had this address
      --listener NAME      as if the client had come to this listener (its name or address)
      --all                every route, and why it was taken or not
      --json               one JSON object a line

    example:
      sockeye explain Routes/split-by-domain.yaml wiki.corp.example:443 --user alice
    """

  private static let trace = """
    usage: sockeye trace [TABLE] DESTINATION [OPTIONS]

    Dials DESTINATION (HOST:PORT) as TABLE says, and prints a line for each hop with its
    phases and times, or which hop failed, in which phase, with which reply. TABLE is looked
    for as 'serve' does.

      --user NAME          as if this user asked
      --client ADDRESS     as if the client had this address
      --listener NAME      as if the client had come to this listener (its name or address)
      --udp                send it a datagram, a question for a name server, and wait for
                           an answer; say where each hop takes datagrams, and how many
                           octets the hops' headers leave
      --json               one JSON object

    example:
      sockeye trace Routes/chain-of-three.yaml example.com:443
      sockeye trace Routes/chain-of-three.yaml 192.0.2.53:53 --udp
    """

  private static let run = """
    usage: sockeye run [TABLE] [OPTIONS] -- COMMAND…

    Starts COMMAND with a listener of its own on 127.0.0.1, and ends with it, with its exit
    status. The command finds the listener in ALL_PROXY, HTTPS_PROXY and HTTP_PROXY, and the
    same in lower case; NO_PROXY is taken away, since TABLE decides what goes direct. TABLE is
    looked for as 'serve' does; its own listeners are not opened. Routes with 'listener' take
    the command for a client of the table's first listener, as 'explain' does.

      --proxychains        start it under proxychains4 and without these variables, for
                           commands that do not heed them
      --log-level LEVEL    error, warning (default), info or debug

    This leads a command, and does not confine it: one that ignores the variables connects
    directly, whatever TABLE says. proxychains4 loads a library into the command. It cannot
    do so with statically linked, setuid, 32-bit and Go programs, which are refused with
    --proxychains; programs that the command starts are not looked at. A warning says at
    the end when no connection came through.

    SIGTERM, SIGUSR1 and SIGUSR2 are passed on to the command.

    example:
      sockeye run Routes/tor.yaml -- curl https://check.torproject.org
    """

  private static let status = """
    usage: sockeye status [TABLE] [--json]

    Asks the running program how it stands: listeners and sessions, what is known of each
    upstream, what each group would take now. TABLE is the one that the program serves, looked
    for as 'serve' does; its 'control' says where to ask. Only root and the user that runs the
    program may.

      --json               one JSON object

    example:
      sockeye status /etc/sockeye/sockeye.yaml
    """

  private static let reload = """
    usage: sockeye reload [TABLE]

    Has the running program read its table again, as SIGHUP does, and prints what is wrong
    with it. The status is 1 when it was refused, and then the old one stays. TABLE is the one
    that the program serves, looked for as 'serve' does; its 'control' says where to ask. Only
    root and the user that runs the program may.

    example:
      sockeye reload /etc/sockeye/sockeye.yaml
    """

  private static let rotate = """
    usage: sockeye rotate [TABLE] [UPSTREAM…]

    Has the running program come to these upstreams, or to all that the table isolates
    ('isolate'), under other user names from now on: so that Tor takes other circuits, or a
    provider other exits. What is connected stays connected. TABLE is the one that the
    program serves, looked for as 'serve' does; its 'control' says where to ask. Only root
    and the user that runs the program may.

    example:
      sockeye rotate /etc/sockeye/sockeye.yaml tor
    """

  private static let importing = """
    usage: sockeye import FILE

    Prints a route table that does what FILE does, a proxychains.conf as proxychains-ng 4.16
    reads it: proxies with their passwords, all four modes, localnet and dnat. What no table
    can say stands in it as a remark. Errors in FILE are printed as FILE:LINE:COLUMN: error:
    MESSAGE, and then there is no table. The table holds FILE's passwords.

    example:
      sockeye import /etc/proxychains4.conf >sockeye.yaml && chmod 600 sockeye.yaml
      sockeye check sockeye.yaml
      sockeye run sockeye.yaml -- curl https://example.com
    """
}
