//! Access tokens: networks, keys, last use, expiry and revocation; none appears in a log or an answer.

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::wallet::Wallet;
use crate::support::with_store::with_store;
use crate::support::{EOA, Installation, OTHER_EOA, Running};

fn listed(installation: &Installation) -> Vec<Value> {
    let list: Value = serde_json::from_str(&installation.must(&["--json", "access-token", "list"])).unwrap();
    list["access_tokens"].as_array().unwrap().clone()
}

fn issue(installation: &Installation, more: &[&str]) -> String {
    let mut arguments =
        vec!["access-token", "issue", "--eoa", EOA, "--scope", "keys:read", "--scope", "keys:create"];
    arguments.extend(more);
    installation.must(&arguments)
}

fn logged_in(service: &Running, eoa: &str) -> String {
    let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": eoa})).body;
    let signature = Wallet::of(eoa).typed(&offered["typed_data"]);
    let body = json!({"challenge_id": offered["challenge_id"], "signature": signature});
    service.post("/v1/auth/verify", None, &body).body["access_token"].as_str().unwrap().to_owned()
}

fn list_keys(service: &Running, token: &str) -> Answer {
    service.get(&format!("/v1/keys/{EOA}"), Some(token))
}

#[test]
fn a_service_token_works_from_this_machine_unless_a_network_is_given() {
    let installation = Installation::new();
    let (here, far) = (issue(&installation, &[]), issue(&installation, &["--network", "10.0.0.0/8"]));
    let both = issue(&installation, &["--network", "10.0.0.0/8", "--network", "127.0.0.0/8"]);
    let service = installation.serve();
    assert_eq!(list_keys(&service, &here).status, 200);
    assert_eq!(list_keys(&service, &far).code(), (401, "unauthenticated"));
    assert_eq!(list_keys(&service, &both).status, 200);
    let networks: Vec<_> = listed(&installation).iter().map(|token| token["networks"].clone()).collect();
    assert!(networks.contains(&json!(["127.0.0.0/8", "::1/128"])), "{networks:?}");
    assert!(networks.contains(&json!(["10.0.0.0/8"])), "{networks:?}");
    let wrong = installation.run(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--scope",
        "keys:read",
        "--network",
        "10.0.0.1/8",
    ]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_token_that_turns_up_elsewhere_is_named_in_the_record_and_counts_as_refused() {
    let installation = Installation::new();
    let far = issue(&installation, &["--network", "10.0.0.0/8"]);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS", "3/min");
    });
    for _ in 0..3 {
        assert_eq!(list_keys(&service, &far).code(), (401, "unauthenticated"));
    }
    assert_eq!(list_keys(&service, &far).code(), (429, "rate_limited"));
    let id = listed(&installation)[0]["id"].clone();
    service.stop();
    let records = installation.records_of("keys.list");
    assert_eq!(records.len(), 4, "{records:?}");
    for record in records {
        assert_eq!(record["code"], "unauthenticated");
        assert_eq!(record["actor"]["kind"], "access_token");
        assert_eq!(
            (&record["actor"]["access_token"], &record["actor"]["eoa"]),
            (&id, &json!(EOA)),
            "{record}"
        );
    }
}

#[test]
fn a_token_that_names_keys_is_for_those_alone() {
    let installation = Installation::new();
    let token = issue(&installation, &["--key", "one", "--scope", "audit:read"]);
    let whole = issue(&installation, &["--scope", "audit:read"]);
    let service = installation.serve();
    service.create(&token, EOA, "one");
    let body = json!({"eoa": EOA, "name": "two"});
    assert_eq!(service.post("/v1/keys", Some(&token), &body).code(), (403, "forbidden"));
    for name in ["two", "none"] {
        let path = format!("/v1/keys/{EOA}/{name}");
        assert_eq!(service.get(&path, Some(&token)).code(), (403, "forbidden"), "{name}");
    }
    assert_eq!(list_keys(&service, &token).code(), (403, "forbidden"));
    for path in ["/v1/events", "/v1/audit"] {
        assert_eq!(service.get(path, Some(&token)).code(), (403, "forbidden"), "{path} tells of other keys");
        assert_eq!(service.get(path, Some(&whole)).status, 200, "{path}");
    }
    service.kill();
    let service = installation.serve();
    assert_eq!(service.get(&format!("/v1/keys/{EOA}/one"), Some(&token)).status, 200);
    assert_eq!(service.post("/v1/keys", Some(&token), &body).code(), (403, "forbidden"));
}

#[test]
fn a_listing_says_when_a_token_was_used_and_who_made_it() {
    let installation = Installation::new();
    let token = issue(&installation, &[]);
    assert!(listed(&installation)[0].get("last_used_at").is_none());
    let service = installation.serve();
    list_keys(&service, &token);
    logged_in(&service, EOA);
    let tokens = listed(&installation);
    let used = tokens.iter().find(|token| token["origin"] == "command line").unwrap();
    assert!(used["last_used_at"].is_string(), "{used}");
    assert_eq!(tokens.iter().filter(|token| token["origin"] == "login").count(), 1);
    // Written down without being waited for; long done when the service has stopped.
    service.stop();
    let after = listed(&installation);
    let used = after.iter().find(|token| token["origin"] == "command line").unwrap();
    assert!(used["last_used_at"].is_string(), "{used}");
}

#[test]
fn a_holder_revokes_its_own_token_and_the_machine_all_of_an_eoa() {
    let installation = Installation::new();
    let issued = issue(&installation, &[]);
    let service = installation.serve();
    let (first, second, other) =
        (logged_in(&service, EOA), logged_in(&service, EOA), logged_in(&service, OTHER_EOA));
    let revoke = |token| service.post("/v1/auth/revoke", token, &json!({}));
    assert_eq!(revoke(None).code(), (401, "unauthenticated"));
    assert_eq!(revoke(Some(&first)).body["revoked"], true);
    assert_eq!(revoke(Some(&first)).code(), (401, "unauthenticated"));
    assert_eq!(list_keys(&service, &second).status, 200);
    let said = installation.must(&["access-token", "revoke", "--eoa", EOA]);
    assert_eq!(said.lines().count(), 2, "{said}");
    for token in [&second, &issued] {
        assert_eq!(list_keys(&service, token).code(), (401, "unauthenticated"));
    }
    let path = format!("/v1/keys/{OTHER_EOA}");
    assert_eq!(service.get(&path, Some(&other)).status, 200, "another EOA's token was revoked");
    service.kill();
    let service = installation.serve();
    assert_eq!(list_keys(&service, &second).code(), (401, "unauthenticated"));
    service.stop();
    let records = installation.records_of("auth.revoke");
    assert!(records.iter().any(|it| it["kind"] == "outcome" && it["code"] == "ok"), "{records:?}");
}

#[test]
fn an_eoa_has_a_limited_number_of_valid_logins_and_one_more_when_one_ends() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__ACCESS_TOKENS_PER_EOA", "3");
    });
    let tokens: Vec<_> = (0..3).map(|_| logged_in(&service, EOA)).collect();
    let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA})).body;
    let signature = Wallet::of(EOA).typed(&offered["typed_data"]);
    let body = json!({"challenge_id": offered["challenge_id"], "signature": signature});
    let refused = service.post("/v1/auth/verify", None, &body);
    assert_eq!(refused.code(), (409, "quota_exceeded"));
    assert!(refused.body["error"].as_str().unwrap().contains("limits.access_tokens_per_eoa"), "{refused:?}");
    for token in &tokens {
        assert_eq!(list_keys(&service, token).status, 200, "a login took a valid access token away");
    }
    // The administrator is exempt, and so is another EOA.
    assert_eq!(list_keys(&service, &installation.token(EOA)).status, 200);
    logged_in(&service, OTHER_EOA);
    let revoked = service.post("/v1/auth/revoke", Some(&tokens[0]), &json!({}));
    assert_eq!(revoked.status, 200, "{revoked:?}");
    // The administrator's own counts as well: one more must go.
    let revoked = service.post("/v1/auth/revoke", Some(&tokens[1]), &json!({}));
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(service.post("/v1/auth/verify", None, &body).status, 200, "the challenge was spent in vain");
}

#[test]
fn expired_access_tokens_do_not_prevent_a_login() {
    const MOST: u32 = 200_000;
    let installation = Installation::new();
    installation.token(EOA);
    with_store(&installation.data(), "login tokens", &format!("{MOST} 600"));
    with_store(&installation.data(), "login tokens", "10 7200");
    let store = rusqlite::Connection::open(installation.data().join("store.sqlite")).unwrap();
    let count =
        || store.query_row("SELECT count(*) FROM access_token", [], |row| row.get::<_, u32>(0)).unwrap();
    let service = installation.serve();
    let answer = {
        let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA})).body;
        let signature = Wallet::of(EOA).typed(&offered["typed_data"]);
        assert_eq!(count(), MOST + 1, "the start keeps what expired hours ago");
        let body = json!({"challenge_id": offered["challenge_id"], "signature": signature});
        service.post("/v1/auth/verify", None, &body)
    };
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(list_keys(&service, answer.body["access_token"].as_str().unwrap()).status, 200);
    assert!(count() < MOST, "expired access tokens were not deleted");
}

#[test]
fn an_eoa_with_a_key_logs_in_however_many_eoas_without_keys_do() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    with_store(&installation.data(), "login tokens", "100000 -3000");
    let service = installation.serve_with(|command| {
        // The rows of this test are of one EOA.
        command
            .env("AVS_KMS__LIMITS__ACCESS_TOKENS_PER_EOA", "1000000")
            .env("AVS_KMS__AUTH__ALLOWED_OPERATORS", "*");
    });
    service.create(&token, EOA, "default");
    let log_in = |eoa: &str| {
        let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": eoa})).body;
        let signature = Wallet::of(eoa).typed(&offered["typed_data"]);
        let body = json!({"challenge_id": offered["challenge_id"], "signature": signature});
        service.post("/v1/auth/verify", None, &body)
    };
    assert_eq!(log_in(OTHER_EOA).code(), (503, "overloaded"));
    assert_eq!(log_in(EOA).status, 200);
}

#[test]
fn no_log_at_any_level_and_no_record_shows_a_token_or_a_challenge_key() {
    let installation = Installation::new();
    let issued = issue(&installation, &[]);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LOG__LEVEL", "trace");
    });
    let token = logged_in(&service, EOA);
    for token in [&token, &issued] {
        list_keys(&service, token);
        service.post("/v1/keys", Some(token), &json!({"eoa": "nonsense"}));
        service.post("/v1/keys", Some(token), &json!({"eoa": OTHER_EOA}));
        service.post("/v1/scalar_mul", Some(token), &json!({"eoa": EOA, "token": token}));
        service.get(&format!("/v1/keys/{token}"), Some(token));
    }
    service.post("/v1/auth/revoke", Some(&token), &json!({}));
    let log = format!("{}\n{}", service.start, service.log());
    service.stop();
    assert!(log.contains("/v1/keys"), "the log at trace level is empty: {log}");
    let records: Vec<_> = installation.records().iter().map(ToString::to_string).collect();
    let store = std::fs::read(installation.data().join("store.sqlite")).unwrap();
    for token in [&token, &issued] {
        let secret = token.strip_prefix("kms_").unwrap();
        // A path is the caller's own words, and the log shows paths; no header and no body.
        let shown: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        let own_path = format!("/v1/keys/kms_{secret}");
        assert!(shown.iter().all(|line| line.replace(&own_path, "").find(secret).is_none()), "{shown:?}");
        assert!(records.iter().all(|record| !record.contains(secret)));
        assert!(!store.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
