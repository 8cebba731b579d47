import Config
import Settings
import Testing

/// A loader that sees nothing of the machine: files and variables are those given.
func loader(
  files: [String: Surroundings.File] = [:], variables: [String: String] = [:]
) -> ConfigurationLoader {
  ConfigurationLoader(
    Surroundings(
      file: { path throws(Surroundings.ReadFailure) in
        guard let file = files[path] else {
          throw Surroundings.ReadFailure(message: "cannot be read: No such file or directory")
        }
        return file
      },
      variable: { variables[$0].map { Array($0.utf8) } }))
}

/// What comes of `yaml`, read as the file `t.yaml`.
func load(
  _ yaml: String, files: [String: String] = [:], variables: [String: String] = [:], listen: [String] = []
) -> ConfigurationLoader.Result {
  loader(files: files.mapValues { Surroundings.File(bytes: Array($0.utf8)) }, variables: variables)
    .load(Surroundings.File(bytes: Array(yaml.utf8)), named: "t.yaml", listening: .on(listen))
}

/// The diagnostics of `yaml` as they are printed, without the file's name: `LINE:COLUMN: error: …`.
func diagnostics(
  of yaml: String, files: [String: String] = [:], variables: [String: String] = [:], listen: [String] = []
) -> [String] {
  load(yaml, files: files, variables: variables, listen: listen).diagnostics.map {
    let text = $0.description
    return text.hasPrefix("t.yaml:") ? String(text.dropFirst("t.yaml:".count)) : text
  }
}

/// A table, and what is printed about it.
struct Case: CustomTestStringConvertible {
  var yaml: String
  var expected: [String]

  init(_ yaml: String, _ expected: String...) {
    self.yaml = yaml
    self.expected = expected
  }

  /// What is printed in a world with two variables and no files.
  var diagnostics: [String] {
    ConfigTests.diagnostics(of: yaml, variables: ["D": "direct", "BAD": "x y"])
  }

  var testDescription: String { yaml }
}
