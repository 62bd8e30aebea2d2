//! The hostile workload of `make load-hostile` for a short time: counts and correctness, no times.

#[path = "../../../benches/hostile/workload.rs"]
mod workload;

use std::time::Duration;

use crate::support::Installation;
use workload::{ATTACKER, SIGNER, Target};

#[test]
fn attackers_at_ten_times_the_rate_keep_no_honest_client_from_its_work() {
    let installation = Installation::new();
    let token = installation.token_with(SIGNER, &["keys:create", "keys:rotate", "sign:point"], "1h");
    let mut issue = vec!["access-token", "issue", "--eoa", ATTACKER, "--scope", "keys:create,keys:read"];
    issue.extend(["--network", "127.0.0.0/8"]);
    let account = installation.must(&issue);
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__AUTH__ALLOWED_OPERATORS", "*")
            .env("AVS_KMS__LIMITS__KEYS_PER_EOA", "20")
            .env_remove("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS")
            .env_remove("AVS_KMS__LIMITS__SIGNATURE_CHECKS_PER_ADDRESS");
    });
    let (address, socket) = (service.address, installation.data().join("admin.sock"));
    let target = Target { address, socket, token, account };
    workload::prepare(&target);
    let figures = workload::run(&target, Duration::from_secs(10));
    assert!(figures.not_signed.is_empty() && !figures.signed.is_empty(), "{:?}", figures.not_signed);
    assert!(figures.not_disabled.is_empty() && !figures.disabled.is_empty(), "{:?}", figures.not_disabled);
    assert!(figures.not_revoked.is_empty() && figures.revoked > 0, "{:?}", figures.not_revoked);
    assert!(figures.hostile > 100 && figures.attacker_keys <= 20, "{figures:?}");
    let log = service.log();
    assert!(log.len() < 100_000, "{} bytes of log", log.len());
    assert_eq!(service.stop(), Some(0));
    installation.must(&["audit", "verify"]);
    let refusals = |record: &&serde_json::Value| record["kind"] == "event" && record["code"] != "ok";
    let refused = installation.records().iter().filter(refusals).count();
    assert!(refused < 250, "{refused} records of refusals");
}
