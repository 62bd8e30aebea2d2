//! The ports of every service that tests, benches, examples and scripts start: never the default ones.
//!
//! With the default ports `make test` would fail, or hang, beside `make run`. The service tests, and those of the
//! modules, get their command from `tests/service/support/process.rs`, and their default ports are taken while they run.

use std::path::Path;

const PLACES: [&str; 5] = ["benches", "deploy", "examples", "fuzz", "tests"];

/// How Rust, Python and shell name the command.
const COMMANDS: [&str; 3] = ["\"serve\"", "\"$program\" serve", "--data var serve"];

/// Started inside containers, which have ports of their own.
const CONTAINERS: [&str; 3] = [
    "deploy/image/Dockerfile",
    "tests/ecosystem/containers/src/engine.rs",
    "tests/ecosystem/containers/tests/refusals.rs",
];

#[test]
fn a_service_that_is_started_beside_another_has_ports_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut starters = Vec::new();
    for file in PLACES.iter().flat_map(|place| super::walk(&root.join(place), |_| true)) {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        let is_exempt = name.starts_with("tests/service/")
            || name.starts_with("tests/modules/")
            || name.starts_with("tests/architecture/")
            || CONTAINERS.contains(&name);
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if is_exempt || !COMMANDS.iter().any(|command| text.contains(command)) {
            continue;
        }
        let sets = |setting: &str, option: &str| text.contains(setting) || text.contains(option);
        assert!(sets("AVS_KMS__SERVER__LISTEN", "--listen"), "{name} starts the service on the default port");
        assert!(
            text.contains("AVS_KMS__SERVER__HEALTH_LISTEN"),
            "{name}: the health listener has its default port"
        );
        starters.push(name.to_owned());
    }
    assert!(starters.len() >= 7, "only {starters:?} start the service: this test does not see the others");
}

#[test]
fn the_service_tests_start_the_program_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in super::walk(&root.join("tests/service"), |name| name.ends_with(".rs")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let starts = text.contains("CARGO_BIN_EXE_avs-kms") || text.contains("Command::new(program())");
        assert!(!starts || file.ends_with("support.rs"), "{}: use support::process::program", file.display());
    }
}
