//! The token remembers the audit log's anchor, one at a time, across restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

#[path = "support/token.rs"]
mod support;
use support::*;

#[test]
fn the_newest_anchor_survives_a_restart_and_is_no_foreign_object() {
    isolated("the_newest_anchor_survives_a_restart_and_is_no_foreign_object", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        assert!(enclave.audit_anchors(soon()).unwrap().is_empty());
        for n in 1..=3_u8 {
            enclave.replace_audit_anchor(vec![n; 300], soon()).unwrap();
        }
        assert!(enclave.replace_audit_anchor(vec![0; 1025], soon()).is_err());
        assert!(enclave.replace_audit_anchor(Vec::new(), soon()).is_err());
        enclave.close();
        let enclave = fixture.open();
        assert_eq!(enclave.audit_anchors(soon()).unwrap(), [vec![3; 300]]);
        let findings = enclave.health().findings;
        assert_eq!((findings.incomplete, findings.foreign), (0, 0), "{findings:?}");
        enclave.close();
    });
}
