import Testing

@Test(arguments: [
  Case("", "1:1: error: the file is empty (write at least 'default: direct')"),
  Case("# nothing\n---\n", "1:1: error: the file is empty (write at least 'default: direct')"),
  Case("\u{feff}default: direct"),
  Case("{default: direct}"),
  Case(
    "{}",
    "1:1: error: there is no 'default' (write what becomes of everything else, such as 'default: direct')"),
  Case("- a", "1:1: error: expected a route table, not a list (write it like default: direct)"),
  Case("direct", "1:1: error: 'direct' is not a route table (write it like default: direct)"),
  Case(
    "default: direct\ndefault: reject",
    "2:1: error: the key 'default' stands here a second time, first in line 1 (remove one)"),
  Case(
    "default: direct\nhosts:\n\ta: 1.1.1.1\n\tb: 2.2.2.2\n# \tno\n\t# no\n",
    "3:1: error: a tab cannot indent (use spaces)", "4:1: error: a tab cannot indent (use spaces)"),
  Case("default: direct\u{1}", "1:16: error: there is a control character here, U+0001 (remove it)"),
  Case(
    "%YAML 1.2\n---\ndefault: direct", "1:1: error: YAML directives are not supported (remove this line)"),
  Case(
    "default: direct\n---\ndefault: reject",
    "2:1: error: a second document starts here (put every table in a file of its own)"),
  Case(
    "default: !!str direct",
    "1:10: error: YAML tags are not supported (remove the word that starts with '!')"),
  Case(
    "log: &l {level: info}\nlimits:\n  <<: *l\ndefault: direct",
    "3:3: error: merge keys are not supported (write the keys out)"),
  Case(
    "default: direct\nroutes: &r [*r]",
    "2:13: error: the alias '*r' stands inside what it refers to (write the value out)"),
  Case("default: *d", "1:10: error: there is no anchor '&d' before this (write the value out)"),
  Case("default: direct\n? [a]\n: b", "2:3: error: a key must be a word, not a list or a map"),
  Case(
    "default: direct\nlog: {level: info",
    "2:6: error: did not find expected ',' or '}' (a bracket is not closed)"),
  Case(
    "default: direct: reject",
    "1:16: error: mapping values are not allowed in this context"
      + " (there is one ': ' too many in this line, or the indentation is wrong)"),
  Case("default: \"direct", "1:10: error: found unexpected end of stream (a quote is not closed)"),
  Case(
    "default: @direct", "1:10: error: found character that cannot start any token (put the value in quotes)"
  ),
  Case(
    "defualt: direct",
    "1:1: error: a route table has no key 'defualt' (did you mean 'default'?)",
    "1:1: error: there is no 'default' (write what becomes of everything else, such as 'default: direct')"),
  Case(
    "lists: {}\ntables: {}\ndefault: direct",
    "1:1: error: 'lists' is not supported yet (remove it)",
    "2:1: error: 'tables' is not supported yet (remove it)"),
  Case(
    "x: &d direct\ndefault: *d",
    "1:1: error: a route table has no key 'x' (it may have 'listen', 'upstreams',"
      + " 'groups', 'chains', 'routes', 'default', 'hosts', 'dns', 'tests', 'timeouts', 'limits', 'log',"
      + " 'control')"),
  Case("log: &l {}\nlimits: *l\ndefault: direct"),
])
func `the file itself`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
