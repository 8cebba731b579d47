import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {a: socks5h://h:1, b: SOCKS5://h:2/}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://[::1]:1080", b: "socks5://u:p%40%3a@h:1", c: "socks5://u@h:1", d: "socks5://u:p@w@h:1"}
    default: direct
    """),
  Case(
    """
    upstreams: {a: h:1}
    default: direct
    """,
    "1:16: error: expected the URL of a proxy (write it like socks5://127.0.0.1:1080)"),
  Case(
    """
    upstreams: {a: "sock5://h:1"}
    default: direct
    """,
    "1:16: error: 'sock5' is not a proxy's scheme (did you mean 'socks5'?)"),
  Case(
    """
    upstreams: {a: "gopher://h:1"}
    default: direct
    """,
    "1:16: error: 'gopher' is not a proxy's scheme (write socks5://)"),
  Case(
    """
    upstreams:
      d: https://h:1
      e: socks5+tls://h:1
      f: socks5h+tls://h:1
      g: socks4+tls://h:1
      h: socks4a+tls://h:1
      i: http+tls://h:1
      j: HTTPS://alice:secret@h:1
    default: direct
    """),
  Case(
    """
    upstreams:
      a: socks5+tsl://h:1
      b: socks4+tls://alice:secret@h:1
      c: {url: "https://al%3Aice@h:1"}
      d: {url: "socks4a+tls://h:1", udp: yes}
    default: direct
    """,
    "2:6: error: 'socks5+tsl' is not a proxy's scheme (did you mean 'socks5+tls'?)",
    "3:6: error: SOCKS4 has no passwords (remove it, with the colon before it)",
    "4:12: error: a user name ends at its first colon in HTTP (write one without)",
    "5:38: error: SOCKS4 carries no UDP (write 'no', or remove it)"),
  Case(
    """
    upstreams:
      a: socks4://h:1
      b: SOCKS4A://alice@10.0.0.1:1
      c: {url: "socks4://h:1", username: alice, udp: no}
      d: {url: "socks4a://h:1", udp: auto}
    default: direct
    """),
  Case(
    """
    upstreams:
      a: socks4://alice:secret@h:1
      b: socks4a://alice:@h:1
      c: {url: "socks4://h:1", username: alice, password: secret}
      d: {url: "socks4a://alice@h:1", password_file: f}
      e: socks4://al%00ice@h:1
      f: {url: "socks4a://h:1", username: "al\\0ice"}
      g: socks4b://h:1
    default: direct
    """,
    "2:6: error: SOCKS4 has no passwords (remove it, with the colon before it)",
    "3:6: error: SOCKS4 has no passwords (remove it, with the colon before it)",
    "4:45: error: SOCKS4 has no passwords (remove it)",
    "5:35: error: SOCKS4 has no passwords (remove it)",
    "6:6: error: a SOCKS4 user id ends at its first NUL (write one without)",
    "7:12: error: a SOCKS4 user id ends at its first NUL (write one without)",
    "8:6: error: 'socks4b' is not a proxy's scheme (did you mean 'socks4a'?)"),
  Case(
    """
    upstreams:
      a: http://h:8080
      b: HTTP://alice:se%3Acret@[2001:db8::1]:3128/
      c: {url: "http://h:1", username: alice, password: "se:cret", udp: no}
      d: {url: "http://alice@h:1", udp: auto}
    default: direct
    """),
  Case(
    """
    upstreams:
      a: http://h
      b: http://al%3Aice:secret@h:1
      c: {url: "http://h:1", username: "al:ice"}
      d: {url: "http://h:1", udp: yes}
      e: {url: "socks4a://h:1", udp: yes}
      f: htp://h:1
    default: direct
    """,
    "2:6: error: the URL has no port (write it behind the host, as in h:1080)",
    "3:6: error: a user name ends at its first colon in HTTP (write one without)",
    "4:12: error: a user name ends at its first colon in HTTP (write one without)",
    "5:31: error: HTTP carries no UDP (write 'no', or remove it)",
    "6:34: error: SOCKS4 carries no UDP (write 'no', or remove it)",
    "7:6: error: 'htp' is not a proxy's scheme (did you mean 'http'?)"),
  Case(
    """
    upstreams: {a: "socks5://h", b: "socks5://h:x", c: "socks5://h:0", d: "socks5://:1", e: "socks5://", f: "socks5://h:99999", g: "socks5://h:1/x", h: "socks5://h:1?x"}
    default: direct
    """,
    "1:16: error: the URL has no port (write it behind the host, as in h:1080)",
    "1:33: error: 'x' is not a port (write one from 1 to 65535)",
    "1:52: error: no proxy has port 0 (write its port)",
    "1:71: error: '' is neither a host name nor an address (write one)",
    "1:89: error: the URL names no proxy (write it like socks5://127.0.0.1:1080)",
    "1:105: error: '99999' is not a port (write one from 1 to 65535)",
    "1:128: error: a proxy's URL ends with its port (remove what follows it; in a "
      + "password write %2F, %3F, %23)",
    "1:149: error: a proxy's URL ends with its port (remove what follows it; in a "
      + "password write %2F, %3F, %23)"),
  Case(
    """
    upstreams: {a: "socks5://::1:1080", b: "socks5://h h:1", c: "socks5://0.0.0.0:1", d: "socks5://224.0.0.1:1", e: "socks5://[::1]"}
    default: direct
    """,
    "1:16: error: an IPv6 address stands in brackets (write it like [2001:db8::1]:1080)",
    "1:40: error: 'h h' is neither a host name nor an address (write one)",
    "1:61: error: '0.0.0.0' is not the address of a proxy (write the one it listens on)",
    "1:86: error: '224.0.0.1' is not the address of a proxy (write the one it listens on)",
    "1:113: error: the URL has no port (write it behind the host, as in [::1]:1080)"),
  Case(
    """
    upstreams:
      a: {url: "http://h:1", headers: {X-Token: "a b", Proxy-Connection: keep-alive, x_empty: ""}}
      b: {url: "https://h:1", headers: {user-agent: curl/8.0}}
    default: direct
    """),
  Case(
    """
    upstreams:
      a: {url: "socks5://h:1", headers: {X: a}}
      b: {url: "http://h:1", headers: [X]}
      c: {url: "http://h:1", headers: {"a b": c, HOST: d, Transfer-Encoding: chunked, X: "a\\r\\nb"}}
      d: {url: "http://h:1", headers: {X: [a], Y: , Proxy-Authorization: Basic YTpi, Z: ä}}
      e: {url: "http://h:1", headers: {X-Token: a, x-token: b}}
      f: {url: "http://h:1", headers: {X: \(String(repeating: "x", count: 8192))}}
    default: direct
    """,
    "2:28: error: only HTTP has headers (remove it, or write an http:// URL)",
    "3:35: error: expected a map from field names to values, not a list (write it like {Proxy-Connection: keep-alive})",
    "4:36: error: 'a b' is not the name of a header (write letters, digits and '-', as in X-Token)",
    "4:46: error: 'HOST' is not yours to set in a request for a tunnel (remove it)",
    "4:55: error: 'Transfer-Encoding' is not yours to set in a request for a tunnel (remove it)",
    "4:86: error: the value of the header 'X' is not one line of printable ASCII (write one)",
    "5:39: error: expected the value of a header, not a list (write it like keep-alive)",
    "5:47: error: expected the value of a header, and there is nothing (write it like keep-alive)",
    "5:49: error: 'Proxy-Authorization' is written from the user name and the password (write those in the URL)",
    "5:85: error: the value of the header 'Z' is not one line of printable ASCII (write one)",
    "6:48: error: there is a header 'x-token' before this one (remove one)",
    "7:35: error: the headers have more than 8192 octets together (shorten them)"),
  Case(
    """
    upstreams: {a: , b: [x], c: {}, d: 1}
    default: direct
    """,
    "1:16: error: expected the URL of a proxy, and there is nothing (write it like "
      + "socks5://127.0.0.1:1080)",
    "1:21: error: expected the URL of a proxy, not a list (write it like "
      + "socks5://127.0.0.1:1080)",
    "1:29: error: an upstream needs its 'url' (write {url: socks5://127.0.0.1:1080})",
    "1:36: error: expected the URL of a proxy (write it like socks5://127.0.0.1:1080)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", username: u, password: p, timeout: 3s, resolve: local}}
    default: direct
    """),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", timeout: 3}, b: {url: "socks5://h:1", timeout: 0s}, c: {url: "socks5://h:1", timeout: 9999h}, d: {url: "socks5://h:1", timeout: 1.5s}}
    default: direct
    """,
    "1:47: error: '3' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "1:85: error: '0s' is out of range (write 1ms to 8760h)",
    "1:124: error: '9999h' is out of range (write 1ms to 8760h)",
    "1:166: error: '1.5s' is not a duration (write it like 500ms, 10s, 2m or 1h)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", resolve: remote}}
    default: direct
    """,
    "1:47: error: 'remote' is not 'previous' or 'local' (write it like previous)"),
  Case(
    """
    upstreams:
      a: {url: "socks5://h:1", pipeline: yes}
      b: {url: "http://h:1", pipeline: no}
      c: {url: "socks4://h:1", pipeline: auto}
      d: {url: "socks5://h:1", pipeline: true}
      e: {url: "socks5://h:1", pipeline: ye}
      f: {url: "socks5://h:1", pipeline: [no]}
      g: {url: "http://h:1", pipeline: auto}
      h: {url: "http://h:1", pipeline: yes}
    default: direct
    """,
    "5:38: error: 'true' is not 'yes', 'no' or 'auto' (write 'yes')",
    "6:38: error: 'ye' is not 'yes', 'no' or 'auto' (did you mean 'yes'?)",
    "7:38: error: expected 'yes', 'no' or 'auto', not a list (write it like yes)",
    "9:36: warning: nothing is sent behind a CONNECT before an HTTP proxy has answered it (write 'no', or remove it)"
  ),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", udp: auto}, b: {url: "socks5://h:2", udp: yes}, c: {url: "socks5://h:3", udp: no}}
    default: direct
    """),
  Case(
    """
    upstreams:
      a: {url: "socks5://h:1", udp: maybe}
      b: {url: "socks5://h:1", udp: false}
      c: {url: "socks5://h:1", udp: true}
      d: {url: "socks5://h:1", udp: {}}
      e: {url: "socks4://h:1", udp: yes}
      f: {url: "socks4a://h:1", udp: yes}
    default: direct
    """,
    "2:33: error: 'maybe' is not 'yes', 'no' or 'auto' (write it like yes)",
    "3:33: error: 'false' is not 'yes', 'no' or 'auto' (write 'no')",
    "4:33: error: 'true' is not 'yes', 'no' or 'auto' (write 'yes')",
    "5:33: error: expected 'yes', 'no' or 'auto', not a map (write it like yes)",
    "6:33: error: SOCKS4 carries no UDP (write 'no', or remove it)",
    "7:34: error: SOCKS4 carries no UDP (write 'no', or remove it)"),
  Case(
    """
    upstreams: {a: {ulr: "socks5://h:1"}}
    default: direct
    """,
    "1:16: error: an upstream needs its 'url' (write {url: socks5://127.0.0.1:1080})",
    "1:17: error: an upstream has no key 'ulr' (did you mean 'url'?)"),
  Case(
    """
    upstreams: {direct: "socks5://h:1", reject: "socks5://h:1", drop: "socks5://h:1"}
    default: direct
    """,
    "1:13: error: 'direct' is an outcome of every table (choose another name)",
    "1:37: error: 'reject' is an outcome of every table (choose another name)",
    "1:61: error: 'drop' is an outcome of every table (choose another name)"),
  Case(
    """
    upstreams: {"a b": "socks5://h:1", "a,b": "socks5://h:1", "": "socks5://h:1", "büro": "socks5://h:1"}
    default: direct
    """,
    "1:13: error: a name is 1 to 64 ASCII characters without spaces, commas, quotes and "
      + "brackets (choose another)",
    "1:36: error: a name is 1 to 64 ASCII characters without spaces, commas, quotes and "
      + "brackets (choose another)",
    "1:59: error: a name is 1 to 64 ASCII characters without spaces, commas, quotes and "
      + "brackets (choose another)",
    "1:79: error: a name is 1 to 64 ASCII characters without spaces, commas, quotes and "
      + "brackets (choose another)"),
  Case(
    """
    upstreams: []
    default: direct
    """,
    "1:12: error: expected a map from names to proxies, not a list (write it like {tor: "
      + "socks5://127.0.0.1:9050})"),
  Case(
    """
    upstreams:
    default: direct
    """,
    "1:11: error: expected a map from names to proxies, and there is nothing (write it "
      + "like {tor: socks5://127.0.0.1:9050})"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {a: [b]}
    default: direct
    """,
    "2:10: error: the name 'a' is already taken in line 1 (choose another)"),
])
func `what may stand under 'upstreams'`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
