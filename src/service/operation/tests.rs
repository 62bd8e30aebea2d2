use std::collections::HashSet;

use super::*;

#[test]
fn every_operation_has_a_name_of_its_own() {
    let names: HashSet<_> = ALL.iter().map(|operation| operation.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn only_health_and_metrics_have_no_limit_and_what_is_open_shares_no_lane_with_keys() {
    let names = |lane| -> Vec<_> {
        ALL.iter().filter(|operation| operation.lane == lane).map(|operation| operation.name).collect()
    };
    assert_eq!(
        names(Lane::Exempt),
        ["service.health", "service.ready", "service.version", "service.metrics"]
    );
    assert_eq!(names(Lane::Proof), ["audit.proof"]);
    assert_eq!(names(Lane::Login), ["auth.challenge", "auth.verify"]);
    assert_eq!(
        names(Lane::TakeAway),
        ["keys.disable", "auth.revoke", "access_tokens.revoke", "service.freeze"]
    );
    for operation in ALL.iter().filter(|operation| operation.access == Access::Open) {
        let of_all = [Lane::Exempt, Lane::Proof, Lane::Login, Lane::Open];
        assert!(of_all.contains(&operation.lane), "{}", operation.name);
    }
    for operation in ALL.iter().filter(|operation| operation.scope().is_some()) {
        let of_callers = [Lane::Use, Lane::Change, Lane::Read, Lane::Search, Lane::TakeAway];
        assert!(of_callers.contains(&operation.lane), "{}", operation.name);
    }
}

#[test]
fn only_what_ends_or_revives_a_version_needs_more_than_an_access_token() {
    let irrevocable = ALL.iter().filter(|operation| operation.irrevocable);
    let names: Vec<_> = irrevocable.map(|operation| operation.name).collect();
    assert_eq!(names, ["keys.unretire", "keys.destroy", "keys.restore", "keys.destroy_due"]);
}
