#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;

/// One test: a process can have only one recorder.
#[test]
fn a_scrape_shows_every_event_under_its_listed_name() {
    let metrics = Metrics::start().unwrap();
    assert!(Metrics::start().is_err(), "a process has one recorder");
    answered("scalar_mul", "ok", Instant::now());
    answered("scalar_mul", "forbidden", Instant::now());
    signed();
    audit_log::metrics::committed(3, Duration::from_millis(2));
    audit_log::metrics::commit_failed();
    checkpointed(3);
    show_audit(true, 3);
    show_keys([KeyState::Active, KeyState::Active, KeyState::Retired].into_iter());
    show_enclave(EnclaveReading {
        ready: true,
        stopped: false,
        recoveries: 2,
        canary: Some((true, Duration::from_secs(1))),
        queue_depth: 0,
        workers: 2,
        stuck_workers: 0,
        unreadable_keys: 0,
    });
    show_rotation(RotationReading {
        overdue: 1,
        oldest_seconds: Some(90),
        next_seconds: None,
        signing_after_end: 2,
        undelivered: 4,
        failed_deliveries: 3,
    });
    let text = metrics.render();
    for line in [
        r#"avs_kms_requests_total{operation="scalar_mul",code="ok"} 1"#,
        r#"avs_kms_requests_total{operation="scalar_mul",code="forbidden"} 1"#,
        r#"avs_kms_request_seconds_count{operation="scalar_mul"} 2"#,
        "avs_kms_audit_records_total 3",
        r#"avs_kms_audit_batch_records_bucket{le="1"} 0"#,
        r#"avs_kms_audit_batch_records_bucket{le="4"} 1"#,
        r#"avs_kms_audit_commit_seconds_bucket{le="0.0025"} 1"#,
        "avs_kms_audit_failures_total 1",
        "avs_kms_audit_writable 1",
        "avs_kms_audit_checkpoint_tree_size 3",
        r#"avs_kms_keys{state="active"} 2"#,
        "avs_kms_rotations_overdue 1",
        "avs_kms_oldest_key_age_seconds 90",
        "avs_kms_next_rotation_due_seconds inf",
        "avs_kms_key_versions_past_retirement 2",
        "avs_kms_webhook_deliveries_pending 4",
        "avs_kms_webhook_deliveries_failing 3",
        r#"avs_kms_keys{state="retired"} 1"#,
        r#"avs_kms_keys{state="pending"} 0"#,
        "avs_kms_hsm_ready 1",
        "avs_kms_hsm_recoveries_total 2",
        "avs_kms_hsm_canary_age_seconds 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
    }
    let undescribed: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .filter(|name| !text.contains(&format!("# HELP {name} ")))
        .collect();
    assert!(undescribed.is_empty(), "{undescribed:?} have no help text");
}
