//! Reload on SIGHUP.

use std::fs;
use std::path::Path;

use crate::support::{EOA, Installation, Running, until};

/// As an editor saves: a new file takes the place of the old.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// Whether some of this many requests at once exceed the rate.
fn is_limited(service: &Running, token: &str) -> bool {
    let path = format!("/v1/keys/{EOA}");
    (0..10).any(|_| service.get(&path, Some(token)).code() == (429, "rate_limited"))
}

#[test]
fn limits_and_the_level_of_the_log_are_read_again_and_a_bad_file_changes_nothing() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("avs-kms.toml");
    write(&file, "");
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS_CONFIG", &file);
    });
    assert!(!is_limited(&service, &token));

    // Nothing below an error is said from here on.
    write(&file, "[limits]\nrequests_per_access_token = \"1/s\"\n[log]\nlevel = \"error\"\n");
    service.reload();
    until("the new limit holds", || is_limited(&service, &token));
    let _ = service.log();
    write(&file, "[limits]\nrequests_per_acces_token = \"0\"\nqueue_timeout = \"soon\"\n");
    service.reload();
    let mut said = String::new();
    until("the bad file is refused", || {
        said += &service.log();
        said.contains("nothing was changed")
    });
    assert!(
        said.contains("did you mean `limits.requests_per_access_token`?")
            && said.contains("limits.queue_timeout"),
        "{said}"
    );
    assert!(!said.contains(" INFO ") && !said.contains(" WARN "), "{said}");
    until("the limit still holds", || is_limited(&service, &token));

    write(&file, "[limits]\nrequests_per_access_token = \"0\"\n[server]\nrequest_deadline = \"7s\"\n");
    service.reload();
    until("what takes a restart is named", || {
        said += &service.log();
        said.contains("take effect after a restart")
    });
    assert!(!is_limited(&service, &token));
    service.stop();
    let codes: Vec<_> =
        installation.records_of("service.reload").iter().map(|record| record["code"].clone()).collect();
    assert_eq!(codes, ["ok", "invalid_configuration", "ok"]);
}
