//! Every row of the table of transitions, by each kind of caller, and back again.

use avs_kms::key::{Authority, KeyState, TRANSITIONS, TransitionRule, Undo};
use serde_json::{Value, json};

use super::key_lifecycle::{SCOPES, call};
use crate::auth::request_signatures::post as post_signed;
use crate::support::client::Answer;
use crate::support::wallet::Wallet;
use crate::support::{EOA, Installation, Running};

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Token,
    Signed,
    Host,
}

struct Callers {
    installation: Installation,
    service: Running,
    token: String,
    wallet: Wallet,
}

impl Callers {
    fn new() -> Self {
        let installation = Installation::new();
        let token = installation.token_with(EOA, &SCOPES, "1h");
        let service = installation.serve();
        Self { installation, service, token, wallet: Wallet::of(EOA) }
    }

    fn signed(&self, what: &str, body: &Value) -> Answer {
        post_signed(&self.service, &self.wallet, EOA, &format!("/v1/keys/{what}"), body)
    }

    /// The state of the version afterwards, or the code of the refusal.
    fn act(&self, by: By, what: &str, name: &str, version: u64) -> Result<String, String> {
        let body = json!({"eoa": EOA, "name": name, "version": version});
        let of = |answer: Answer| match answer.status {
            200 => Ok(answer.body["state"].as_str().unwrap().to_owned()),
            _ => Err(answer.body["code"].as_str().unwrap().to_owned()),
        };
        match by {
            By::Token => of(call(&self.service, &self.token, what, &body)),
            By::Signed => of(self.signed(what, &body)),
            By::Host => {
                let version = version.to_string();
                let mut command =
                    vec!["--json", "keys", what, "--eoa", EOA, "--name", name, "--version", &version];
                command.extend(["retire", "destroy"].contains(&what).then_some("--yes"));
                let answer: Value = serde_json::from_str(&self.installation.must(&command)).unwrap();
                Ok(answer["state"].as_str().unwrap().to_owned())
            }
        }
    }

    /// A new key with a version in this state: its number, and the number of the other version, if there is one.
    fn key_in(&self, state: KeyState, name: &str) -> (u64, u64) {
        self.service.create(&self.token, EOA, name);
        let done = |what: &str, version: u64| {
            let by = if what == "destroy" { By::Signed } else { By::Token };
            self.act(by, what, name, version).unwrap_or_else(|code| panic!("{what} {version}: {code}"));
        };
        if state == KeyState::Active {
            return (1, 1);
        }
        let next = call(&self.service, &self.token, "rotate", &json!({"name": name}));
        assert_eq!(next.status, 201, "{next:?}");
        if state == KeyState::DestroyScheduled {
            done("destroy", 2);
        }
        if matches!(state, KeyState::Pending | KeyState::DestroyScheduled) {
            return (2, 1);
        }
        done("activate", 2);
        if state == KeyState::Retired {
            done("retire", 1);
        } else if state == KeyState::Disabled {
            done("disable", 1);
        }
        (1, 2)
    }
}

#[test]
fn every_transition_is_allowed_to_whom_the_table_says_and_is_undone_as_it_says() {
    let callers = Callers::new();
    let mut carried_out = 0;
    for (row, rule) in TRANSITIONS.iter().enumerate() {
        for by in [By::Token, By::Signed, By::Host] {
            let name = format!("row{row}-{by:?}").to_lowercase();
            carried_out += u32::from(row_holds(&callers, rule, by, &name));
        }
    }
    // The one row that no caller can ask for is the destruction itself.
    let refused = TRANSITIONS.iter().filter(|rule| rule.by == Authority::SignedRequest).count();
    assert_eq!(carried_out as usize, 3 * (TRANSITIONS.len() - 1) - refused);
}

/// Whether this caller carried the row out; asserts that the table says so.
fn row_holds(callers: &Callers, rule: &TransitionRule, by: By, name: &str) -> bool {
    let what = rule.action.as_str();
    let (version, other) = callers.key_in(rule.from, name);
    let context = format!("{what} of {:?} by {by:?}", rule.from);
    if rule.by == Authority::Service {
        let body = json!({"eoa": EOA, "name": name, "version": version});
        // The path is read as that of a key of the EOA `destroy_due`, which no client can create or change.
        let refused = callers.service.post(&format!("/v1/keys/{what}"), Some(&callers.token), &body);
        assert_eq!(refused.code(), (405, "method_not_allowed"), "{context}");
        return false;
    }
    if by == By::Token && rule.by == Authority::SignedRequest {
        assert_eq!(callers.act(by, what, name, version), Err("forbidden".to_owned()), "{context}");
        return false;
    }
    let after = callers.act(by, what, name, version).unwrap_or_else(|code| panic!("{context}: {code}"));
    assert!(rule.to.iter().any(|state| state.as_str() == after), "{context}: {after}");
    let back = match rule.undone_by {
        Undo::Same(action) => callers.act(By::Signed, action.as_str(), name, version).unwrap(),
        Undo::ActivatePrevious => {
            assert_eq!(callers.act(By::Token, "activate", name, other).as_deref(), Ok("active"), "{context}");
            let path = format!("/v1/keys/{EOA}/{name}");
            let shown = callers.service.get(&path, Some(&callers.token)).body;
            let versions = shown["versions"].as_array().unwrap();
            let found = versions.iter().find(|it| it["version"] == version).unwrap();
            found["state"].as_str().unwrap().to_owned()
        }
        Undo::Impossible => panic!("{context} cannot be undone"),
    };
    assert_eq!(back, rule.from.as_str(), "{context} was not undone");
    true
}

#[test]
fn a_stolen_access_token_that_replaced_and_retired_a_key_ends_nothing() {
    let callers = Callers::new();
    let Callers { service, token, .. } = &callers;
    let first = service.create(token, EOA, "default");
    let sign = |version: Value| {
        let body = json!({"eoa": EOA, "version": version, "digest": format!("0x{}", "07".repeat(32))});
        service.post("/v1/sign/digest", Some(token), &body)
    };
    assert_eq!(call(service, token, "rotate", &json!({})).status, 201);
    assert_eq!(call(service, token, "activate", &json!({})).status, 200);
    assert_eq!(call(service, token, "retire", &json!({"version": 1})).status, 200);
    assert_eq!(sign(json!(1)).code(), (409, "key_retired"));
    assert_eq!(call(service, token, "unretire", &json!({"version": 1})).code(), (403, "forbidden"));
    // The owner of the EOA takes all of it back, without the command line of the host.
    assert_eq!(callers.act(By::Signed, "unretire", "default", 1).as_deref(), Ok("retiring"));
    assert_eq!(callers.act(By::Signed, "activate", "default", 1).as_deref(), Ok("active"));
    let signed = sign(json!("current"));
    assert_eq!((signed.status, &signed.body["version"]), (200, &json!(1)), "{signed:?}");
    let shown = service.get(&format!("/v1/keys/{EOA}/default"), Some(token)).body;
    assert_eq!((&shown["g1"], &shown["state"]), (&first["g1"], &json!("active")));
    let states: Vec<_> = shown["versions"].as_array().unwrap().iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["pending", "active"], "no registry has seen version 2");
}
