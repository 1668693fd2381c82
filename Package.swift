// swift-tools-version:6.2
import PackageDescription

// One release build gives the programs as they are shipped and the tests that are run on them: these modules let the tests see what is internal,
let testable: [SwiftSetting] = [.unsafeFlags(["-enable-testing"], .when(configuration: .release))]
// and the programs hold the Swift runtime themselves, while the test bundle finds it in the toolchain.
let standalone: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-static-stdlib", "-l_FoundationCShims", "-l_FoundationCollections", "-lswiftSynchronization",
            "-Xlinker", "--no-export-dynamic",
            // Functions that came out the same are kept once, and the addresses that the loader must put right, nearly all of them alike, take a
            // bit each instead of 24 bytes: that wants lld, and glibc 2.36 of Debian 12.
            "-use-ld=lld", "-Xlinker", "--icf=safe", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
        ], .when(configuration: .release))
]

// The module table in ARCHITECTURE.md says what each target is for and what it may import; HouseTests hold both to it.
let package = Package(
    name: "meterd",
    products: [
        .executable(name: "meterd", targets: ["meterd"]),
        .executable(name: "meterctl", targets: ["meterctl"]),
        .executable(name: "metersim", targets: ["metersim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // `traits: []` keeps full Foundation (44 MB of ICU) out of the programs.
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0", traits: []),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
    ],
    targets: [
        .systemLibrary(name: "CModbus", pkgConfig: "libmodbus", providers: [.apt(["libmodbus-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CHost", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .target(name: "CToml"),

        .target(name: "Metering", dependencies: ["CToml"]),
        .target(name: "Host", dependencies: ["Metering", "CHost", "CZstd"]),
        .target(name: "Evidence", dependencies: ["Metering", .product(name: "Crypto", package: "swift-crypto")]),
        .target(
            name: "Fieldbus",
            dependencies: ["Metering", "Host", "CModbus", .product(name: "Logging", package: "swift-log")],
            // What a bus calls runs where the bus runs, on its reader's thread, unless it says otherwise.
            swiftSettings: testable + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
        .target(
            name: "Store",
            dependencies: ["Metering", "Host", "Evidence", "CSQLite", .product(name: "Logging", package: "swift-log")],
            swiftSettings: testable),
        .target(
            name: "Uplink",
            dependencies: [
                "Metering", "Host", "Store", "CMosquitto",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: testable),
        .target(
            name: "Gateway",
            dependencies: [
                "Metering", "Host", "Fieldbus", "Store", "Uplink",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .target(
            name: "Simulators",
            dependencies: [
                "Metering", "Host", "CModbus",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: testable),

        .target(
            name: "Commands",
            dependencies: [
                "Gateway", "Metering", "Host",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),

        .executableTarget(
            name: "meterd",
            dependencies: [
                "Commands", "Gateway", "Metering", "Host",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            linkerSettings: standalone),
        .executableTarget(name: "meterctl", dependencies: ["Commands"], linkerSettings: standalone),
        .executableTarget(
            name: "metersim",
            dependencies: [
                "Simulators", "Metering", "Host", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            linkerSettings: standalone),

        // For Benchmarks/drain.
        .executableTarget(
            name: "backlog", dependencies: ["Store", "Metering", "Host", .product(name: "Logging", package: "swift-log")],
            path: "Benchmarks/backlog"),

        .target(name: "TestSupport", path: "Tests/TestSupport"),
        .testTarget(name: "HouseTests", dependencies: ["TestSupport"]),
        .testTarget(name: "MeteringTests", dependencies: ["Metering", "TestSupport"]),
        .testTarget(name: "HostTests", dependencies: ["Host"]),
        .testTarget(name: "FieldbusTests", dependencies: ["Fieldbus", "Simulators", "TestSupport"]),
        .testTarget(name: "StoreTests", dependencies: ["Store", "CSQLite", "TestSupport"]),
        .testTarget(name: "UplinkTests", dependencies: ["Uplink", "Store", "Simulators", "CMosquitto", "TestSupport"]),
        .testTarget(name: "SimulatorsTests", dependencies: ["Simulators", "CModbus", "TestSupport"]),
        .testTarget(
            name: "GatewayTests",
            dependencies: ["Gateway", "Simulators", "Store", "Uplink", "TestSupport", .product(name: "NIOEmbedded", package: "swift-nio")]),
        .testTarget(
            name: "MeterctlTests",
            dependencies: ["Gateway", "TestSupport", .product(name: "NIOPosix", package: "swift-nio")]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["Gateway", "Simulators", "Store", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
