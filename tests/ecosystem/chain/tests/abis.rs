//! The ABIs in the runbooks that ship: functions only, and each one EigenLayer's by its selector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use alloy::primitives::keccak256;
use alloy::sol_types::SolCall as _;
use eigen_utils::slashing::core::allocation_manager::AllocationManager;
use eigen_utils::slashing::middleware::bls_apk_registry::BLSApkRegistry;
use eigen_utils::slashing::middleware::registry_coordinator::RegistryCoordinator;
use serde_json::Value;

fn runbooks(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            runbooks(&path, found);
        } else if path.file_name().unwrap() == "chain.tx" {
            found.push(path);
        }
    }
}

/// The canonical types of parameters, as a selector hashes them.
fn types(parameters: &Value) -> String {
    let one = |parameter: &Value| match parameter["type"].as_str().unwrap() {
        "tuple" => types(&parameter["components"]),
        other => other.to_owned(),
    };
    format!("({})", parameters.as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(","))
}

#[test]
fn the_abis_of_the_runbooks_are_eigenlayers_own() {
    let expected = BTreeMap::from([
        ("deregisterFromOperatorSets", AllocationManager::deregisterFromOperatorSetsCall::SELECTOR),
        ("registerForOperatorSets", AllocationManager::registerForOperatorSetsCall::SELECTOR),
        ("getOperatorId", BLSApkRegistry::getOperatorIdCall::SELECTOR),
        ("pubkeyRegistrationMessageHash", RegistryCoordinator::pubkeyRegistrationMessageHashCall::SELECTOR),
        // The bindings have no KeyRegistrar; these were read from it on a chain, but for the last, which is its
        // interface's `getKeyHash(OperatorSet operatorSet, address operator)`.
        ("registerKey", [0xd4, 0x0c, 0xda, 0x16]),
        ("deregisterKey", [0x87, 0xab, 0x86, 0xf4]),
        ("getBN254KeyRegistrationMessageHash", [0x76, 0x90, 0xe3, 0x95]),
        ("getKeyHash", keccak256("getKeyHash((address,uint32),address)")[..4].try_into().unwrap()),
    ]);
    let mut files = Vec::new();
    runbooks(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/txtx"), &mut files);
    assert_eq!(files.len(), 4, "{files:?}");
    let mut used = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("value = ")) {
            let Ok(json) = serde_json::from_str::<String>(line) else { continue };
            let abi: Vec<Value> =
                serde_json::from_str(&json).unwrap_or_else(|error| panic!("{file:?}: {error}"));
            for function in &abi {
                let name = function["name"].as_str().unwrap();
                assert_eq!(function["type"], "function", "{file:?}, {name}: an event may panic");
                let selector = &keccak256(format!("{name}{}", types(&function["inputs"])))[..4];
                assert_eq!(Some(selector), expected.get(name).map(<[u8; 4]>::as_slice), "{file:?}, {name}");
                assert!(text.contains(&format!("function_name = \"{name}\"")), "{file:?}, {name}");
                used.insert(name.to_owned());
            }
        }
    }
    assert_eq!(used.len(), expected.len(), "{used:?}");
}
