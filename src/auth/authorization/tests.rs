#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;
use crate::auth::principal::tests::{bearer, signed};
use crate::auth::{Networks, Scopes, SignatureKinds, Subject};

const OWN: Eoa = Eoa::new([1; 20]);
const OTHER: Eoa = Eoa::new([2; 20]);

const STATES: [KeyState; 7] = [
    KeyState::Active,
    KeyState::Destroyed,
    KeyState::Disabled,
    KeyState::Pending,
    KeyState::Retired,
    KeyState::Retiring,
    KeyState::DestroyScheduled,
];

/// A caller, and what is known of it in the words of the specification.
struct Candidate {
    caller: Caller,
    /// Whose keys; none for those of all EOAs.
    eoa: Option<Eoa>,
    scopes: Scopes,
    proved_this_request: bool,
    /// The one key that it is for, if one.
    key: Option<&'static str>,
}

fn all_callers() -> Vec<Candidate> {
    let mut all = vec![Candidate {
        caller: Caller::local(),
        eoa: None,
        scopes: Scopes::all(),
        proved_this_request: true,
        key: None,
    }];
    for eoa in [OWN, OTHER] {
        all.push(Candidate {
            caller: signed(eoa),
            eoa: Some(eoa),
            scopes: Scopes::all(),
            proved_this_request: true,
            key: None,
        });
    }
    let sets = Scope::ALL.map(|scope| [scope].into_iter().collect()).into_iter();
    for scopes in sets.chain([Scopes::NONE, Scopes::all()]) {
        for (subject, eoa) in
            [(Subject::Eoa(OWN), Some(OWN)), (Subject::Eoa(OTHER), Some(OTHER)), (Subject::Any, None)]
        {
            for key in [None, Some("one"), Some("two")] {
                let caller = bearer(subject, scopes, key);
                all.push(Candidate { caller, eoa, scopes, proved_this_request: false, key });
            }
        }
    }
    all
}

/// The rules of the issue, said once more and otherwise: the reasons in their order, each with whether it holds.
fn expected(
    candidate: &Candidate,
    ask: &AccessRequest<'_>,
    found: Option<AccessTarget<'_>>,
) -> Result<(), Denied> {
    let kind = match ask.scope {
        Scope::SignDigest => Some(SignatureKind::Digest),
        Scope::SignPoint => Some(SignatureKind::Point),
        Scope::SignTyped => Some(SignatureKind::Typed),
        Scope::AuditRead | Scope::KeysCreate | Scope::KeysDestroy | Scope::KeysRead | Scope::KeysRotate => {
            None
        }
    };
    let name = ask.name.map(KeyName::as_str);
    let mut reasons = vec![
        (candidate.eoa.is_some_and(|eoa| eoa != ask.owner), Denied::Forbidden(Forbidden::OtherEoa)),
        (!candidate.scopes.iter().any(|scope| scope == ask.scope), Forbidden::Scope(ask.scope).into()),
        (ask.irrevocable && !candidate.proved_this_request, Forbidden::NeedsSignature.into()),
        (candidate.key.is_some() && candidate.key != name, Forbidden::OtherKey.into()),
    ];
    if let Some(found) = found
        && (kind.is_some() || ask.proves)
    {
        let far = ask.from.is_some_and(|from| !found.policy.networks.contain(from));
        let state = match found.state {
            KeyState::Active | KeyState::Pending | KeyState::Retiring => None,
            KeyState::Disabled => Some(SigningRefusal::Disabled),
            KeyState::Retired => Some(SigningRefusal::Retired),
            KeyState::Destroyed | KeyState::DestroyScheduled => Some(SigningRefusal::Destroyed),
        };
        let of_kind = kind.filter(|kind| !ask.proves && !found.policy.signing.contains(*kind));
        reasons.extend(of_kind.map(|kind| (true, Forbidden::SignatureKind(kind).into())));
        reasons.push((far, Forbidden::KeyNetwork.into()));
        reasons.extend(state.map(|state| (true, state.into())));
    }
    reasons.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, reason)| Err(reason))
}

fn policies() -> Vec<Policy> {
    let mut policies: Vec<_> = (0..8_u8)
        .map(|bits| {
            let kinds = SignatureKind::ALL.into_iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
            Policy { signing: kinds.map(|(_, kind)| kind).collect(), ..Policy::default() }
        })
        .collect();
    let networks: Networks = "10.0.0.0/8".parse().unwrap();
    policies.push(Policy { networks, signing: SignatureKinds::ALL, per_minute: None });
    policies
}

#[test]
fn the_whole_table_is_decided_as_specified_and_a_refused_caller_cannot_tell_what_exists() {
    let (one, policies) = ("one".parse().unwrap(), policies());
    let (mut cells, mut allowed) = (0, 0);
    for candidate in all_callers() {
        for scope in Scope::ALL {
            for (irrevocable, proves) in [(false, false), (true, false), (false, true)] {
                for owner in [OWN, OTHER] {
                    for name in [None, Some(&one)] {
                        for from in [None, Some([127, 0, 0, 1].into()), Some([10, 0, 0, 1].into())] {
                            let ask = AccessRequest { scope, irrevocable, proves, owner, name, from };
                            let before = decide(&candidate.caller, &ask, None);
                            assert_eq!(before, expected(&candidate, &ask, None), "{ask:?}");
                            cells += 1;
                            allowed += usize::from(before.is_ok());
                            for (policy, state) in policies.iter().flat_map(|p| STATES.map(|s| (p, s))) {
                                let found = Some(AccessTarget { state, policy });
                                let after = decide(&candidate.caller, &ask, found);
                                assert_eq!(after, expected(&candidate, &ask, found), "{ask:?} {found:?}");
                                assert!(
                                    before.is_ok() || after == before,
                                    "a refusal that depends on the key"
                                );
                                cells += 1;
                                allowed += usize::from(after.is_ok());
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(cells > 1_000_000 && allowed < cells / 4, "{allowed} of {cells}");
}

#[test]
fn what_concerns_a_whole_eoa_is_read_by_callers_with_all_of_its_keys() {
    for candidate in all_callers() {
        for scope in Scope::ALL {
            let lacks = !candidate.scopes.iter().any(|it| it == scope);
            let expected = match (lacks, candidate.key) {
                (true, _) => Err(Forbidden::Scope(scope).into()),
                (false, Some(_)) => Err(Forbidden::OtherKey.into()),
                (false, None) => Ok(candidate.eoa),
            };
            assert_eq!(decide_own(&candidate.caller, scope), expected, "{:?}", candidate.caller);
        }
    }
}

#[test]
fn no_bearer_token_does_what_cannot_be_undone() {
    for candidate in all_callers().iter().filter(|candidate| candidate.caller.token_id().is_some()) {
        for owner in [OWN, OTHER] {
            let ask = AccessRequest {
                scope: Scope::KeysDestroy,
                irrevocable: true,
                proves: false,
                owner,
                name: None,
                from: None,
            };
            assert!(decide(&candidate.caller, &ask, None).is_err());
        }
    }
}
