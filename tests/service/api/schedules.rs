//! Schedules and their dates; `GET /v1/events`.

use serde_json::{Value, json};

use crate::lifecycle::key_lifecycle::{SCOPES, call};
use crate::support::{EOA, Installation, OTHER_EOA};

#[test]
fn schedules_are_checked_shown_with_their_dates_and_warn_of_a_short_overlap() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    let key = service.create(&token, EOA, "default");
    let set =
        call(&service, &token, "schedule", &json!({"every_days": 90, "overlap_days": 10, "activate": true}));
    assert_eq!((set.status, &set.body["scheduled"]), (200, &json!(true)), "{set:?}");
    assert!(set.body["warning"].as_str().unwrap().contains("14 days"));
    let all = call(&service, &token, "schedule", &json!({"name": "*", "every_days": 30}));
    assert!(all.body.get("warning").is_none(), "{all:?}");
    service.create(&token, EOA, "second");
    for (wrong, field) in [
        (json!({"every_days": 5, "announce_days": 5}), "announce_days"),
        (json!({"every_days": 4_000}), "every_days"),
        (json!({"every_days": 5, "jitter_hours": 121}), "jitter_hours"),
        (json!({"every_days": 5, "retire_on": "never"}), "retire_on"),
    ] {
        let answer = call(&service, &token, "schedule", &wrong);
        assert_eq!((answer.code(), &answer.body["field"]), ((400, "invalid_request"), &json!(field)));
    }
    let shown = service.get(&format!("/v1/keys/schedule?eoa={EOA}"), Some(&token)).body;
    let (first, second) = (&shown["keys"][0], &shown["keys"][1]);
    let due = first["due_at_unix"].as_i64().unwrap() - key["activated_at_unix"].as_i64().unwrap();
    assert_eq!((due, &first["every_days"], &second["every_days"]), (90 * 86_400, &json!(90), &json!(30)));
    assert_eq!(
        first["due_at_unix"].as_i64().unwrap() - first["announce_at_unix"].as_i64().unwrap(),
        7 * 86_400
    );
    call(&service, &token, "schedule", &json!({"every_days": 0}));
    let shown = service.get(&format!("/v1/keys/schedule?eoa={EOA}"), Some(&token)).body;
    assert_eq!(shown["keys"][0]["every_days"], 30, "the EOA's schedule holds again");
    let other = installation.token_with(OTHER_EOA, &SCOPES, "1h");
    assert_eq!(service.get(&format!("/v1/keys/schedule?eoa={EOA}"), Some(&other)).code(), (403, "forbidden"));
}

#[test]
fn events_are_read_in_order_by_the_owner_alone() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let other = installation.token_with(OTHER_EOA, &SCOPES, "1h");
    let service = installation.serve();
    service.create(&token, EOA, "default");
    service.create(&other, OTHER_EOA, "default");
    call(&service, &token, "rotate", &json!({}));
    call(&service, &token, "activate", &json!({}));
    let page = service.get("/v1/events", Some(&token)).body;
    let kinds = |page: &Value| -> Vec<String> {
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["version"])).collect()
    };
    let all = [
        "version.created 1",
        "version.activated 1",
        "version.created 2",
        "version.retiring 1",
        "version.activated 2",
    ];
    assert_eq!(kinds(&page), all);
    assert!(page["events"].as_array().unwrap().iter().all(|event| event["eoa"] == EOA));
    let after = page["events"][1]["seq"].as_u64().unwrap();
    let rest = service.get(&format!("/v1/events?after={after}&limit=2"), Some(&token)).body;
    assert_eq!(kinds(&rest), all[2..4]);
    let end = service.get(&format!("/v1/events?after={}", page["next"]), Some(&token)).body;
    assert_eq!((&end["events"], &end["next"]), (&json!([]), &page["next"]));
    assert_eq!(kinds(&service.get("/v1/events", Some(&other)).body).len(), 2);
    let blind = installation.token_with(EOA, &["sign:point"], "1h");
    assert_eq!(service.get("/v1/events", Some(&blind)).code(), (403, "forbidden"));
}
