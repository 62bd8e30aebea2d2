#![allow(clippy::panic, clippy::unwrap_used, reason = "a failing test should panic")]

use super::*;
use crate::auth::Networks;

const OWN: Eoa = Eoa::new([1; 20]);
const OTHER: Eoa = Eoa::new([2; 20]);

fn record(subject: Subject, scopes: Scopes) -> AccessTokenRecord {
    AccessTokenRecord {
        id: AccessTokenId::random().unwrap(),
        subject,
        scopes,
        created_at: Timestamp::from_second(1_000).unwrap(),
        expires_at: Timestamp::from_second(2_000).unwrap(),
        revoked_at: None,
        login: false,
        networks: Networks::loopback(),
        keys: Vec::new(),
        last_used_at: None,
        client_certificate: None,
    }
}

/// The bearer of a token for this subject, or for one key of it.
pub(in crate::auth) fn bearer(subject: Subject, scopes: Scopes, key: Option<&str>) -> Caller {
    let keys = key.into_iter().map(|name| name.parse().unwrap()).collect();
    present(Some(AccessTokenRecord { keys, ..record(subject, scopes) }), 1_500).unwrap()
}

/// A caller that signed the request itself.
pub(in crate::auth) fn signed(eoa: Eoa) -> Caller {
    Caller { identity: Identity::Signed(eoa), scopes: Scopes::all() }
}

fn present(record: Option<AccessTokenRecord>, now: i64) -> Result<Caller, Unauthenticated> {
    present_from(record, "127.0.0.1", now)
}

fn present_from(record: Option<AccessTokenRecord>, from: &str, now: i64) -> Result<Caller, Unauthenticated> {
    let token = AccessToken::random().unwrap();
    let header = format!("Bearer {}", token.expose());
    let from = Some(from.parse().unwrap());
    authenticate(Some(&header), from, Timestamp::from_second(now).unwrap(), |hash| {
        assert!(*hash == token.hash());
        record
    })
}

#[test]
fn a_token_works_until_the_second_it_expires() {
    let good = || Some(record(Subject::Eoa(OWN), Scopes::all()));
    assert_eq!(present(good(), 1_999).unwrap().eoa(), Some(OWN));
    assert_eq!(present(good(), 2_000).unwrap_err(), Unauthenticated::Expired);
    assert_eq!(present(None, 1_500).unwrap_err(), Unauthenticated::Unknown);
}

#[test]
fn a_revoked_token_is_as_unknown_as_a_made_up_one() {
    let mut revoked = record(Subject::Eoa(OWN), Scopes::all());
    revoked.revoked_at = Some(revoked.created_at);
    assert_eq!(present(Some(revoked), 3_000).unwrap_err(), Unauthenticated::Unknown);
}

#[test]
fn a_token_works_from_its_networks_alone() {
    let home = || Some(record(Subject::Eoa(OWN), Scopes::all()));
    assert!(present_from(home(), "::1", 1_500).is_ok());
    assert_eq!(present_from(home(), "10.0.0.1", 1_500).unwrap_err(), Unauthenticated::WrongNetwork);
    let mut far = record(Subject::Eoa(OWN), Scopes::all());
    far.networks = "10.0.0.0/8".parse().unwrap();
    assert!(present_from(Some(far.clone()), "10.0.0.1", 1_500).is_ok());
    assert_eq!(present_from(Some(far), "127.0.0.1", 1_500).unwrap_err(), Unauthenticated::WrongNetwork);
}

#[test]
fn headers_of_another_form_are_refused_before_any_look_up() {
    let never = |_: &AccessTokenHash| panic!("looked up");
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(authenticate(None, None, now, never).unwrap_err(), Unauthenticated::Missing);
    for header in ["", "Bearer", "Bearer ", "Bearer kms_12", "Basic a2V5", "kms_", "EIP712 operator=0x"] {
        assert_eq!(authenticate(Some(header), None, now, never).unwrap_err(), Unauthenticated::Malformed);
    }
}

#[test]
fn every_scope_times_every_owner_is_decided() {
    for held in Scope::ALL {
        let scopes = [held].into_iter().collect();
        let own = present(Some(record(Subject::Eoa(OWN), scopes)), 1_500).unwrap();
        let any = present(Some(record(Subject::Any, scopes)), 1_500).unwrap();
        for asked in Scope::ALL {
            let expected = if asked == held { Ok(()) } else { Err(Forbidden::Scope(asked)) };
            assert_eq!(own.may(asked, &OWN), expected);
            assert_eq!(own.may(asked, &OTHER), Err(Forbidden::OtherEoa));
            assert_eq!(any.may(asked, &OTHER), expected);
            assert_eq!(Caller::local().may(asked, &OTHER), Ok(()));
            assert_eq!(Caller::local().may_irrevocably(asked, &OTHER), Ok(()));
            let bearer = if asked == held { Err(Forbidden::NeedsSignature) } else { expected };
            assert_eq!(own.may_irrevocably(asked, &OWN), bearer);
            assert_eq!(any.may_irrevocably(asked, &OTHER), bearer);
        }
    }
}
