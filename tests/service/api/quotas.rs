//! Quotas: what an EOA may have is bounded, by settings; the command line on the host is exempt.

use serde_json::json;

use crate::lifecycle::key_lifecycle::{SCOPES, call};
use crate::support::{EOA, Installation, OTHER_EOA};

#[test]
fn an_eoa_reaches_its_quotas_and_the_administrator_does_not() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let other = installation.token_with(OTHER_EOA, &SCOPES, "1h");
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__LIMITS__KEYS_PER_EOA", "2")
            .env("AVS_KMS__LIMITS__VERSIONS_PER_KEY", "3")
            .env("AVS_KMS__LIMITS__SCHEDULES_PER_EOA", "1")
            .env("AVS_KMS__LIMITS__MAX_KEYS", "4");
    });
    let create = |token: &str, eoa: &str, name: &str| {
        service.post("/v1/keys", Some(token), &json!({"eoa": eoa, "name": name}))
    };
    for name in ["a", "b"] {
        assert_eq!(create(&token, EOA, name).status, 201);
    }
    let refused = create(&token, EOA, "c");
    assert_eq!(refused.code(), (409, "quota_exceeded"));
    assert!(refused.body["error"].as_str().unwrap().contains("limits.keys_per_eoa"), "{refused:?}");
    assert_eq!(create(&token, EOA, "a").status, 200, "to get an existing key takes no place");

    for version in [2, 3] {
        assert_eq!(call(&service, &token, "rotate", &json!({"name": "a"})).status, 201, "{version}");
        assert_eq!(call(&service, &token, "activate", &json!({"name": "a"})).status, 200);
    }
    assert_eq!(call(&service, &token, "rotate", &json!({"name": "a"})).code(), (409, "quota_exceeded"));

    let schedule = |name: &str, days: u32| {
        let body = json!({"name": name, "every_days": days, "announce_days": 1});
        call(&service, &token, "schedule", &body)
    };
    assert_eq!(schedule("a", 30).status, 200);
    assert_eq!(schedule("b", 30).code(), (409, "quota_exceeded"));
    assert_eq!(schedule("a", 60).status, 200, "to change a schedule takes no place");
    assert_eq!(schedule("a", 0).status, 200);
    assert_eq!(schedule("b", 30).status, 200);

    // The host: each quota gives way.
    installation.must(&["keys", "create", "--eoa", EOA, "--name", "c"]);
    installation.must(&["keys", "rotate", "--eoa", EOA, "--name", "a"]);
    // Of all EOAs together there are three keys now, and four fit.
    assert_eq!(create(&other, OTHER_EOA, "a").status, 201);
    let refused = create(&other, OTHER_EOA, "b");
    assert_eq!(refused.code(), (409, "quota_exceeded"));
    assert!(refused.body["error"].as_str().unwrap().contains("limits.max_keys"), "{refused:?}");
    installation.must(&["keys", "create", "--eoa", OTHER_EOA, "--name", "b"]);
}
