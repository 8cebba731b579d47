import Addresses
import Fuzzing

@testable import DNS

@main struct FuzzDNS {
  static func main() {
    unsafe fuzz { start, count in
      readAsReply(unsafe octets(start, count))
      return 0
    }
  }
}

/// What a reply comes to.
private enum Outcome: Equatable {
  case passedOver
  case malformed
  case answer(Question.Answer, Duration?)
  case other(code: UInt8, isTruncated: Bool)

  init(_ octets: [UInt8], to question: Question) {
    do throws(MessageReader.Malformed) {
      let id = octets.count < 2 ? 0 : UInt16(octets[0]) << 8 | UInt16(octets[1])
      guard let reply = try Reply(octets, to: question, id: id) else {
        self = .passedOver
        return
      }
      guard !reply.isTruncated, reply.code == 0 || reply.code == 3 else {
        self = .other(code: reply.code, isTruncated: reply.isTruncated)
        return
      }
      let response = try reply.response()
      self = .answer(response.answer, response.lifetime)
    } catch {
      self = .malformed
    }
  }
}

/// Every reply answers the question that it repeats, so that a file of the corpus is simply what a server sends.
private func readAsReply(_ octets: [UInt8]) {
  guard let question = Question(repeatedIn: octets) else {
    let any = Question.name(of: .loopback4)
    return check(Outcome(octets, to: any).saysNothing, "without its question nothing is answered")
  }
  let whole = Outcome(octets, to: question)
  check(whole, answers: question)

  let asked = question.message(id: 0)
  check(Question(repeatedIn: asked) == question, "what is asked can be read")
  check(Outcome(asked, to: question) == .passedOver, "a question is no reply")

  // Cut anywhere it means what the whole means, or nothing. The unit tests cut at every octet.
  var isDecided = false
  for end in stride(from: octets.count % 7, to: octets.count, by: max(1, octets.count / 16)) {
    let part = Outcome(Array(octets[..<end]), to: question)
    check(part.saysNothing || part == whole, "a part means what the whole means")
    check(!isDecided || part == whole, "behind the last record nothing matters")
    isDecided = isDecided || !part.saysNothing
  }
}

private func check(_ outcome: Outcome, answers question: Question) {
  guard case .answer(let answer, let lifetime) = outcome else { return }
  if let lifetime { check((.zero ... .seconds(1 << 32)).contains(lifetime), "a lifetime is one") }
  switch (question, answer) {
  case (.addresses(_, let family), .success(.addresses(let found))):
    check((1...Reply.addressLimit).contains(found.count), "there are addresses, and not too many")
    check(family == .v6 || found.allSatisfy { $0.family == .v4 }, "an A record is an IPv4 address")
    check(lifetime != nil, "addresses have a lifetime")
  case (.name, .success(.name(let name))):
    check((try? DomainName(name.text)) == name, "a name is one")
  case (_, .failure(.notFound)), (_, .failure(.noData)): return
  default: check(false, "an answer is of the kind that was asked for")
  }
}

extension Outcome {
  fileprivate var saysNothing: Bool {
    switch self {
    case .passedOver, .malformed: true
    // The header says all.
    case .other(let code, let isTruncated): isTruncated || code != 0
    case .answer: false
    }
  }
}

extension Question {
  /// `nil` where the message repeats none that could have been asked.
  fileprivate init?(repeatedIn octets: [UInt8]) {
    var reader = MessageReader(octets)
    guard (try? reader.skip(12)) != nil, let wire = try? reader.name(), let type = try? reader.uint16() else {
      return nil
    }
    var labels: [String] = []
    var rest = wire[...]
    while let length = rest.popFirst() {
      labels.append(String(decoding: rest.prefix(Int(length)), as: UTF8.self))
      rest = rest.dropFirst(Int(length))
    }
    let question: Question
    switch type {
    case 1, 28:
      guard let name = try? DomainName(labels.joined(separator: ".")) else { return nil }
      question = .addresses(of: name, type == 1 ? .v4 : .v6)
    case 12:
      guard let address = IPAddress(reversed: labels) else { return nil }
      question = .name(of: address)
    default: return nil
    }
    guard question.wireName == wire else { return nil }
    self = question
  }
}

extension IPAddress {
  /// The address whose name stands under these labels.
  fileprivate init?(reversed labels: [String]) {
    switch labels.count {
    case 6: self.init(labels.prefix(4).reversed().joined(separator: "."))
    case 34:
      let digits = Array(labels.prefix(32).reversed())
      let groups = stride(from: 0, to: 32, by: 4).map { digits[$0..<($0 + 4)].joined() }
      self.init(groups.joined(separator: ":"))
    default: return nil
    }
  }
}
