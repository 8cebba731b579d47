import Testing

@Test func `a route that an earlier one hides is warned of`() {
  let table = """
    routes:
      - {domain: example, via: direct}
      - {domain: [a.example, b.example], port: 443, via: reject}
      - {domain: org, via: reject}
    default: direct
    """
  #expect(
    diagnostics(of: table) == [
      "3:5: warning: the route at line 2 takes all that this one describes (move this one before it, or remove it)"
    ])
}
