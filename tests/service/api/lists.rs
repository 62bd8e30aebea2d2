//! Lists come in pages: bounded, complete, and stable while others create keys.

use serde_json::{Value, json};

use crate::lifecycle::key_lifecycle::SCOPES;
use crate::support::{EOA, Installation, OTHER_EOA, Running};

/// The most bytes of a page: 128 KiB of items, the last of them, and what is around them.
const MAX_PAGE: usize = (128 + 8) * 1024;

/// What names an item in its list.
fn place(item: &Value) -> String {
    let part = |name: &str| item[name].to_string();
    format!("{} {} {} {}", part("eoa"), part("name"), part("version"), part("seq"))
}

/// Every page of a list: the items, and how many pages there were.
fn pages(service: &Running, token: &str, path: &str, member: &str) -> (Vec<String>, usize) {
    let (mut items, mut after) = (Vec::new(), String::new());
    for count in 1.. {
        let page = service.get(&format!("{path}{after}"), Some(token));
        assert_eq!(page.status, 200, "{path}{after}: {page:?}");
        assert!(page.raw.len() <= MAX_PAGE, "{} bytes in a page", page.raw.len());
        let listed = page.body[member].as_array().unwrap();
        items.extend(listed.iter().map(place));
        let next = &page.body["next"];
        let number = next.as_u64().filter(|_| !listed.is_empty()).map(|next| next.to_string());
        let Some(next) = next.as_str().map(str::to_owned).or(number) else { return (items, count) };
        after = format!("&after={next}");
    }
    unreachable!()
}

#[test]
fn every_list_of_clients_comes_in_pages_without_gap_or_repetition() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    for name in ["c", "a", "e", "b", "d"] {
        service.create(&token, EOA, name);
    }
    let rotate = json!({"eoa": EOA, "name": "b", "version": 2});
    assert_eq!(service.post("/v1/keys/rotate", Some(&token), &rotate).status, 201);
    let activate = json!({"eoa": EOA, "name": "b"});
    assert_eq!(service.post("/v1/keys/activate", Some(&token), &activate).status, 200);
    for (list, member, items) in [
        (format!("/v1/keys/{EOA}?"), "keys", 6),
        (format!("/v1/keys/{EOA}/b?"), "versions", 2),
        (format!("/v1/keys/schedule?eoa={EOA}&"), "keys", 5),
        ("/v1/events?".to_owned(), "events", 13),
    ] {
        let (whole, _) = pages(&service, &token, &format!("{list}limit=1000"), member);
        assert_eq!(whole.len(), items, "{list}: {whole:?}");
        for limit in 1..=3 {
            let (joined, count) = pages(&service, &token, &format!("{list}limit={limit}"), member);
            assert_eq!(joined, whole, "{list} {limit}");
            assert!(count >= items.div_ceil(limit), "{list} {limit}: {count} pages");
        }
    }
    let in_state =
        |state: &str| pages(&service, &token, &format!("/v1/keys/{EOA}?limit=2&state={state}"), "keys");
    assert_eq!((in_state("active").0.len(), in_state("retiring").0.len()), (5, 1));
    assert!(in_state("destroyed").0.is_empty());
}

#[test]
fn what_is_created_between_two_pages_moves_no_other_key() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    for name in ["b", "d", "f"] {
        service.create(&token, EOA, name);
    }
    let path = format!("/v1/keys/{EOA}?limit=2");
    let first = service.get(&path, Some(&token)).body;
    assert_eq!((&first["keys"][1]["name"], &first["next"]), (&json!("d"), &json!("d/1")));
    for name in ["a", "c", "e"] {
        service.create(&token, EOA, name);
    }
    let second = service.get(&format!("{path}&after=d/1"), Some(&token)).body;
    let names: Vec<_> = second["keys"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!((names, second.get("next")), (vec![json!("e"), json!("f")], None));
}

#[test]
fn a_wrong_cursor_limit_or_state_is_refused_by_name() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &[&SCOPES[..], &["audit:read"]].concat(), "1h");
    let service = installation.serve();
    service.create(&token, EOA, "a");
    let lists = [
        (format!("/v1/keys/{EOA}?"), "default"),
        (format!("/v1/keys/{EOA}/a?"), "0"),
        (format!("/v1/keys/schedule?eoa={EOA}&"), "A"),
        ("/v1/events?".to_owned(), "-1"),
        ("/v1/audit?".to_owned(), "x"),
    ];
    for (list, cursor) in lists {
        for (parameter, value) in [
            ("after", cursor),
            ("after", ""),
            ("after", "%00"),
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "-1"),
            ("limit", "x"),
            ("limit", "18446744073709551616"),
            ("offset", "1"),
        ] {
            let answer = service.get(&format!("{list}{parameter}={value}"), Some(&token));
            assert_eq!(answer.code(), (400, "invalid_request"), "{list}{parameter}={value}: {answer:?}");
            assert_eq!(answer.body["field"], parameter, "{list}{parameter}={value}: {answer:?}");
        }
        assert_eq!(service.get(&format!("{list}limit=1&limit=1"), Some(&token)).status, 400);
    }
    let wrong = service.get(&format!("/v1/keys/{EOA}?state=lost"), Some(&token));
    assert_eq!((wrong.code(), &wrong.body["field"]), ((400, "invalid_request"), &json!("state")));
}

#[test]
fn a_page_of_many_keys_ends_by_its_bytes_and_the_command_line_prints_all() {
    let installation = Installation::new();
    let (token, other) = (installation.token(EOA), installation.token(OTHER_EOA));
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__KEYS_PER_EOA", "200");
    });
    for number in 0..150 {
        service.create(&token, EOA, &format!("{number:064}"));
    }
    service.create(&other, OTHER_EOA, "theirs");
    let (all, count) = pages(&service, &token, &format!("/v1/keys/{EOA}?limit=1000"), "keys");
    assert_eq!((all.len(), count > 1), (150, true));
    let names = |arguments: &[&str]| -> Vec<String> {
        let listed: Value = serde_json::from_str(&installation.must(arguments)).unwrap();
        assert!(listed.get("next").is_none());
        listed["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_one = ["--json", "keys", "list", "--eoa", EOA];
    let (of_all, active) = (["--json", "keys", "list"], ["--json", "keys", "list", "--state", "active"]);
    let running = (names(&of_one), names(&of_all));
    assert_eq!((running.0.len(), running.1.len(), names(&active).len()), (150, 151, 151));
    assert!(running.1.contains(&"theirs".to_owned()));
    for _ in 0..3 {
        installation.token(EOA);
    }
    let tokens: Value =
        serde_json::from_str(&installation.must(&["--json", "access-token", "list"])).unwrap();
    assert_eq!(tokens["access_tokens"].as_array().unwrap().len(), 5);
    assert_eq!(service.stop(), Some(0));
    assert_eq!((names(&of_one), names(&of_all)), running);
}
