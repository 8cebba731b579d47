// swift-tools-version: 6.2

import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .strictMemorySafety(),
  // An async function runs where its caller does. Without this each call looks up its task's executor, under a lock.
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// That no two accesses overlap is proved in debug builds, and so by every test. In release builds the proof would
// take a sixth of a tunnel's user time, since all state of a connection is reached through its loop.
let hot: [SwiftSetting] =
  strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

// Not packed, the relocations alone take 600 KB of resident memory, and functions that are the same 200 KB.
let packed: [LinkerSetting] = [
  .unsafeFlags(
    ["-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs", "-Xlinker", "--icf=safe"],
    .when(configuration: .release))
]

let package = Package(
  name: "sockeye",
  products: [
    .executable(name: "sockeye", targets: ["sockeye"]),
    // Not installed: the tests preload it into the program, whose system calls it makes fail.
    .library(name: "faults", type: .dynamic, targets: ["CFaults"]),
  ],

  // Bottom-up: a target may import only what stands above it and is named in its line.
  // `swift build --explicit-target-dependency-import-check error` holds the sources to this picture.
  targets: [
    // C libraries.
    .target(name: "CLinux"),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
    .systemLibrary(name: "CCrypt", pkgConfig: "libcrypt", providers: [.apt(["libcrypt-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "CTLS", dependencies: ["COpenSSL"]),

    // Values, without input or output.
    .target(name: "Addresses", swiftSettings: strict),
    .target(name: "Printing", swiftSettings: strict),
    .target(name: "Wire", dependencies: ["Addresses"], swiftSettings: strict),
    .target(name: "Patterns", dependencies: ["CPCRE2"], swiftSettings: strict),
    .target(name: "Passwords", dependencies: ["CCrypt", "COpenSSL"], swiftSettings: strict),
    .target(name: "TLS", dependencies: ["Addresses", "CTLS"], swiftSettings: hot),
    .target(
      name: "Routing", dependencies: ["Addresses", "Patterns", "TLS", "Wire"], swiftSettings: strict),
    .target(name: "Settings", dependencies: ["Addresses", "Routing"], swiftSettings: strict),

    // The outside world.
    .target(
      name: "Config",
      dependencies: ["Addresses", "Printing", "Passwords", "TLS", "Wire", "Routing", "Settings", "CYAML"],
      swiftSettings: strict),
    .target(name: "Import", dependencies: ["Addresses", "Printing", "Config"], swiftSettings: strict),
    .target(name: "Transport", dependencies: ["Addresses", "TLS", "CLinux"], swiftSettings: hot),
    .target(name: "DNS", dependencies: ["Addresses", "Transport"], swiftSettings: strict),
    .target(
      name: "Proxy",
      dependencies: ["Addresses", "Wire", "Passwords", "TLS", "Routing", "Settings", "Transport", "DNS"],
      swiftSettings: hot),

    // Programs.
    .executableTarget(
      name: "sockeye",
      dependencies: [
        "Addresses", "Printing", "Routing", "Settings", "Config", "Import", "Transport", "Proxy",
      ],
      swiftSettings: strict, linkerSettings: packed),

    // Measuring: the least a proxy can cost here, links that take their time, and the load that finds out.
    .executableTarget(name: "bare"),
    .executableTarget(name: "links"),
    .executableTarget(
      name: "benchmark",
      dependencies: ["Addresses", "Wire", "Routing", "Config", "Transport", "bare", "links", "sockeye"],
      swiftSettings: strict),

    // Tests. Those of a module stand under its name; EndToEndTests run the built program among real peers.
    .testTarget(name: "AddressesTests", dependencies: ["Addresses"]),
    .testTarget(name: "PrintingTests", dependencies: ["Printing"]),
    .testTarget(name: "WireTests", dependencies: ["Wire", "Addresses", "Chance"]),
    .testTarget(name: "PasswordsTests", dependencies: ["Passwords"]),
    .target(name: "Chance", path: "Tests/Chance"),
    .target(name: "TLSPeer", dependencies: ["COpenSSL"], path: "Tests/TLSPeer"),
    .testTarget(name: "TLSTests", dependencies: ["TLS", "TLSPeer", "Addresses", "Chance"]),
    .testTarget(name: "RoutingTests", dependencies: ["Routing", "Patterns", "TLS", "Addresses", "Chance"]),
    .testTarget(
      name: "ConfigTests",
      dependencies: ["Config", "Settings", "Routing", "TLS", "TLSPeer", "Addresses", "Chance"]),
    .testTarget(name: "ImportTests", dependencies: ["Import", "Config", "Routing", "Addresses", "Chance"]),
    .testTarget(name: "TransportTests", dependencies: ["Transport", "Addresses", "Chance"]),
    .testTarget(name: "DNSTests", dependencies: ["DNS", "Transport", "Addresses", "Chance"]),
    .testTarget(
      name: "ProxyTests",
      dependencies: [
        "Proxy", "Wire", "TLS", "TLSPeer", "Routing", "Settings", "Transport", "DNS", "Addresses",
        "Chance",
      ]),
    .testTarget(name: "SockeyeTests", dependencies: ["sockeye", "Config", "Proxy", "Routing", "Addresses"]),
    .target(name: "CFaults", path: "Tests/Faults"),
    .testTarget(name: "EndToEndTests", dependencies: ["sockeye", "TLSPeer", "Chance"]),
  ],
  swiftLanguageModes: [.v6]
)

// Fuzzing: `.ci/fuzz` builds these, and every module they use, with the instruments of libFuzzer.
if Context.environment["SOCKEYE_FUZZ"] != nil {
  // Debian's gold fails to link libFuzzer; lld comes with the toolchain.
  let lld: [LinkerSetting] = [.unsafeFlags(["-use-ld=lld"])]
  package.targets += [
    .target(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer", linkerSettings: [.linkedLibrary("stdc++")]),
    .target(name: "Fuzzing", dependencies: ["CFuzzer"], path: "Tests/Fuzz/Fuzzing", swiftSettings: strict),
    .executableTarget(
      name: "fuzz-addresses", dependencies: ["Fuzzing", "Addresses"], path: "Tests/Fuzz/Addresses",
      swiftSettings: strict, linkerSettings: lld),
    .executableTarget(
      name: "fuzz-config", dependencies: ["Fuzzing", "Config"], path: "Tests/Fuzz/Config",
      swiftSettings: strict, linkerSettings: lld),
    .executableTarget(
      name: "fuzz-import", dependencies: ["Fuzzing", "Import"], path: "Tests/Fuzz/Import",
      swiftSettings: strict, linkerSettings: lld),
    .executableTarget(
      name: "fuzz-wire", dependencies: ["Fuzzing", "Wire"], path: "Tests/Fuzz/Wire",
      swiftSettings: strict, linkerSettings: lld),
    .executableTarget(
      name: "fuzz-dns", dependencies: ["Fuzzing", "DNS", "Addresses"], path: "Tests/Fuzz/DNS",
      swiftSettings: strict, linkerSettings: lld),
    .executableTarget(
      name: "fuzz-datagrams", dependencies: ["Fuzzing", "Wire"], path: "Tests/Fuzz/Datagrams",
      swiftSettings: strict, linkerSettings: lld),
  ]
}
