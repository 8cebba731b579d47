/// A moment as the log writes it: RFC 3339, UTC, to the millisecond.
struct Timestamp: CustomStringConvertible {
  let nanosecondsSince1970: UInt64

  var description: String {
    let milliseconds = nanosecondsSince1970 / 1_000_000
    let (year, month, day) = Self.date(ofDay: Int(milliseconds / 86_400_000))
    let time = Int(milliseconds % 86_400_000)
    let date = "\(Self.digits(year, 4))-\(Self.digits(month, 2))-\(Self.digits(day, 2))"
    let clock = [time / 3_600_000, time / 60_000 % 60, time / 1000 % 60].map { Self.digits($0, 2) }
    return "\(date)T\(clock[0]):\(clock[1]):\(clock[2]).\(Self.digits(time % 1000, 3))Z"
  }

  /// The Gregorian date of a day counted from 1970-01-01: years begin in March here, so that the leap day comes last.
  private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
    let sinceMarch0000 = day + 719_468
    let era = sinceMarch0000 / 146_097
    let dayOfEra = sinceMarch0000 % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    )
  }

  private static func digits(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}
