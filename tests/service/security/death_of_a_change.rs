//! A process dies behind a change of the store and before its outcome: the store as it was before that change, or after
//! it, is accepted and settled; one that is a change older is refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::lifecycle::kill::{LIBRARY, compile};
use crate::support::{EOA, Installation, process, text};

/// Files of a directory by their names.
type Files = Vec<(String, Vec<u8>)>;

fn read(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Files {
    let names = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let wanted = names.filter(|name| is_wanted(name));
    wanted.map(|name| (name.clone(), fs::read(directory.join(name)).unwrap())).collect()
}

fn put_back(directory: &Path, files: &Files, is_wanted: impl Fn(&str) -> bool) {
    for (name, _) in read(directory, is_wanted) {
        fs::remove_file(directory.join(name)).unwrap();
    }
    files.iter().for_each(|(name, bytes)| fs::write(directory.join(name), bytes).unwrap());
}

fn is_of_store(name: &str) -> bool {
    name.starts_with("store.sqlite")
}

fn show(installation: &Installation) -> Result<String, String> {
    let output = installation.run(&["--json", "keys", "show", "--eoa", EOA]);
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    Ok(shown["versions"][0]["state"].as_str().unwrap().to_owned())
}

#[test]
fn the_store_is_accepted_at_the_last_outcome_or_after_it_and_nowhere_else() {
    let installation = Installation::new();
    let (data, audit) = (installation.data(), installation.data().join("audit"));
    let library = data.with_file_name(LIBRARY);
    compile(&library);
    installation.must(&["keys", "create", "--eoa", EOA]);
    let older = read(&data, is_of_store);
    installation.must(&["keys", "disable", "--eoa", EOA]);
    installation.must(&["keys", "enable", "--eoa", EOA]);
    let mut found = None;
    for count in 1..100 {
        let before = read(&data, is_of_store);
        let mut command = installation.command(&["keys", "disable", "--eoa", EOA]);
        command.env("LD_PRELOAD", &library).env("KILL_IN", "/audit/").env("KILL_AT", count.to_string());
        let output = process::output(&mut command);
        assert!(!output.status.success(), "no kill was between the change and its outcome");
        let log = read(&audit, |_| true);
        let records = installation.records();
        let intent = records.iter().rev().find(|line| line["op"] == "keys.disable");
        let intent = intent.map(|line| line["seq"].clone()).unwrap();
        let is_open = !records.iter().any(|line| line["intent"] == intent);
        let after = read(&data, is_of_store);
        if is_open && after != before {
            found = Some((intent, before, after, log));
            if show(&installation) == Ok("disabled".to_owned()) {
                break;
            }
        }
        installation.must(&["keys", "enable", "--eoa", EOA]);
    }
    let (intent, before, after, log) = found.unwrap();
    let code = || {
        let records = installation.records();
        records.iter().find(|line| line["intent"] == intent).map(|line| line["code"].clone())
    };
    for (store, state, ended) in
        [(&after, "disabled", "recovered_applied"), (&before, "active", "recovered_not_applied")]
    {
        put_back(&audit, &log, |_| true);
        put_back(&data, store, is_of_store);
        assert_eq!(show(&installation), Ok(state.to_owned()));
        assert_eq!(code(), Some(ended.into()));
    }
    put_back(&audit, &log, |_| true);
    put_back(&data, &older, is_of_store);
    let refused = show(&installation).unwrap_err();
    assert!(refused.contains("older"), "{refused}");
}
