//! Tests that every back end must pass. A back end calls [`suite`] with a function that reopens the same database.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

use std::sync::Arc;
use std::time::Duration;

use hsm::{G1Point, G2Point, KeyId, PublicKey};
use jiff::Timestamp;

use super::backend::{Backend, ChallengeUse, IntentMark, KeyChange, Login, VersionUpdate};
use super::cache::Store;
use super::error::{StoreError, VersionNotFound};
use super::key_event::NewEvent;
use super::transitions::LifecycleUpdate;
use crate::auth::{
    AccessToken, AccessTokenHash, AccessTokenId, AccessTokenRecord, Networks, Policy, Scopes, Subject,
};
use crate::key::ScheduleScope;
use crate::key::{
    Binding, Eoa, EventKind, Freeze, IntentRef, KeyName, KeyVersionNumber, LifecycleAction, LifecycleState,
    Registry, Reservation, RetireOn, Schedule, VersionSelector,
};

const OWNER: Eoa = Eoa::new([1; 20]);
const OTHER: Eoa = Eoa::new([2; 20]);
const START: Timestamp = Timestamp::UNIX_EPOCH;
const SCHEDULE: Schedule = Schedule {
    every_days: 30,
    announce_days: 7,
    overlap_days: 21,
    activate: true,
    retire_on: RetireOn::Overlap,
    jitter_hours: 3,
};

type Opened = Box<dyn Backend>;

/// All tests, each over a new database. `make` returns a function that opens that database.
pub(super) async fn suite<F: AsyncFn() -> Opened>(make: impl Fn() -> F) {
    versions_survive_a_restart_and_a_reservation_is_completed_once(make()).await;
    a_change_is_written_as_a_whole_or_not_at_all(make()).await;
    what_was_taken_away_by_a_record_is_marked_for_ever(make()).await;
    a_scheduled_destruction_names_its_intent_until_it_is_cancelled(make()).await;
    settings_survive_a_restart(make()).await;
    access_tokens_are_revoked_and_deleted_durably(make()).await;
    a_challenge_gives_one_token_and_an_owner_holds_few(make()).await;
    events_are_delivered_in_order_for_each_key(make()).await;
}

fn at(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds)).unwrap()
}

const fn intent(record: u64) -> IntentRef {
    IntentRef { log: [7; 16], record, hash: [record as u8; 32] }
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

/// The generators: the public key of the scalar 1.
pub(crate) fn public_key() -> PublicKey {
    let (mut g1, mut g2) = ([0; 64], [0; 128]);
    (g1[31], g1[63]) = (1, 2);
    let coordinates = [
        "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2",
        "1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed",
        "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b",
        "12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa",
    ];
    hex::decode_to_slice(coordinates.concat(), &mut g2).unwrap();
    PublicKey { g1: G1Point::from_bytes(&g1).unwrap(), g2: G2Point::from_bytes(&g2).unwrap() }
}

fn reservation(id: u8, key: &str, number: u32) -> Reservation {
    let binding = Binding {
        chain_id: 1,
        registry: Registry::KeyRegistrar { avs: Eoa::new([3; 20]), operator_set_id: 7 },
        verifying_contract: Eoa::new([4; 20]),
        operator: OWNER,
    };
    Reservation {
        id: KeyId::from_bytes([id; 16]),
        eoa: OWNER,
        name: name(key),
        version: KeyVersionNumber::new(number).unwrap(),
        binding: Some(binding),
    }
}

fn token(subject: Eoa, expires: u64) -> (AccessTokenHash, AccessTokenRecord) {
    let record = AccessTokenRecord {
        id: AccessTokenId::random().unwrap(),
        subject: Subject::Eoa(subject),
        scopes: Scopes::all(),
        created_at: START,
        expires_at: at(expires),
        revoked_at: None,
        login: true,
        networks: Networks::loopback(),
        keys: vec![name("one"), name("two")],
        last_used_at: None,
        client_certificate: None,
    };
    (AccessToken::random().unwrap().hash(), record)
}

async fn versions_survive_a_restart_and_a_reservation_is_completed_once(open: impl AsyncFn() -> Opened) {
    let store = Store::over(open().await).await.unwrap();
    store.reserve(reservation(1, "one", 1), START).await.unwrap();
    assert!(store.all_versions().is_empty(), "a reservation is no version");
    assert_eq!(store.reservations().await.unwrap().len(), 1);
    // A repetition under the same id may name another binding.
    store.reserve(Reservation { binding: None, ..reservation(1, "one", 1) }, START).await.unwrap();
    store.reserve(reservation(1, "one", 1), START).await.unwrap();
    let first = store.complete(reservation(1, "one", 1), public_key(), at(5)).await.unwrap();
    assert_eq!((first.status.lifecycle, first.times.activated), (LifecycleState::Active, Some(at(5))));
    assert!(store.complete(reservation(1, "one", 1), public_key(), at(5)).await.is_err());
    assert!(store.reserve(reservation(9, "one", 1), START).await.is_err(), "the number is taken");

    store.reserve(reservation(2, "one", 2), START).await.unwrap();
    let second = store.complete(reservation(2, "one", 2), public_key(), at(6)).await.unwrap();
    assert_eq!(second.status.lifecycle, LifecycleState::Pending);
    store.reserve(reservation(3, "two", 1), START).await.unwrap();
    store.abandon(reservation(3, "two", 1).id).await.unwrap();
    store.abandon(first.id).await.unwrap();
    store.set_registration(&first, true, at(7)).await.unwrap();

    let again = Store::over(open().await).await.unwrap();
    assert!(again.reservations().await.unwrap().is_empty());
    let found = again.version(&OWNER, &name("one"), VersionSelector::Current).unwrap();
    assert_eq!((found.id, found.binding, found.times), (first.id, first.binding, first.times));
    assert!(found.registration.is_some_and(|registration| registration.held));
    assert_eq!(again.versions_of_key(&OWNER, &name("one")).len(), 2);
    let missing = again.version(&OWNER, &name("two"), VersionSelector::Current).unwrap_err();
    assert_eq!(missing, VersionNotFound::Key);
    assert!(again.has_keys(&OWNER) && !again.has_keys(&OTHER));
}

async fn a_change_is_written_as_a_whole_or_not_at_all(open: impl AsyncFn() -> Opened) {
    let backend = open().await;
    let store = Store::over(open().await).await.unwrap();
    for (id, number) in [(1, 1), (2, 2)] {
        store.reserve(reservation(id, "one", number), START).await.unwrap();
        store.complete(reservation(id, "one", number), public_key(), START).await.unwrap();
    }
    let transitions = store
        .lifecycle(&OWNER, &name("one"))
        .transitions(KeyVersionNumber::new(2).unwrap(), LifecycleAction::Activate)
        .unwrap();
    let transition = LifecycleUpdate {
        eoa: OWNER,
        name: name("one"),
        transitions,
        intent: intent(17),
        is_take_away: false,
        at: at(9),
        destroy_at: None,
        reason: Some("because".to_owned()),
    };
    let before = store.version(&OWNER, &name("one"), VersionSelector::Current).unwrap();
    assert_eq!(store.apply(transition.clone()).await.unwrap().len(), 2);
    assert!(store.is_applied(17).await.unwrap() && !store.is_applied(18).await.unwrap());
    let refused = store.apply(LifecycleUpdate { intent: intent(18), ..transition }).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");

    // The database refuses a stale change by itself, with its events and its mark: an index may be old.
    let stale = VersionUpdate { from: before.status, version: Arc::clone(&before) };
    let events = vec![NewEvent::of(EventKind::VersionActivated, &before)];
    let change = KeyChange { updates: vec![stale], events, mark: Some(IntentMark::Applied(19)), at: at(9) };
    let count = backend.events(None, 0, 100).await.unwrap().len();
    assert!(matches!(backend.change(change).await, Err(StoreError::Conflict(_))));
    assert_eq!(backend.events(None, 0, 100).await.unwrap().len(), count);
    assert!(!backend.is_applied(IntentMark::Applied(19)).await.unwrap());

    let again = Store::over(open().await).await.unwrap();
    let current = again.version(&OWNER, &name("one"), VersionSelector::Current).unwrap();
    assert_eq!((current.version.number(), current.times.activated), (2, Some(at(9))));
    let old = again.version_by_number(&OWNER, &name("one"), KeyVersionNumber::FIRST).unwrap();
    assert_eq!((old.status.lifecycle, old.times.superseded), (LifecycleState::Retiring, Some(at(9))));
    again.clear_applied_intents().await.unwrap();
    assert!(!again.is_applied(17).await.unwrap());
}

async fn what_was_taken_away_by_a_record_is_marked_for_ever(open: impl AsyncFn() -> Opened) {
    let store = Store::over(open().await).await.unwrap();
    store.reserve(reservation(1, "one", 1), START).await.unwrap();
    store.complete(reservation(1, "one", 1), public_key(), START).await.unwrap();
    let change = |record, transitions| LifecycleUpdate {
        eoa: OWNER,
        name: name("one"),
        transitions,
        intent: intent(record),
        is_take_away: true,
        at: at(9),
        destroy_at: None,
        reason: None,
    };
    let life = store.lifecycle(&OWNER, &name("one"));
    let disable = life.transitions(KeyVersionNumber::FIRST, LifecycleAction::Disable).unwrap();
    store.apply(change(1, disable)).await.unwrap();
    // Nothing to do is marked, too.
    store.apply(change(2, Vec::new())).await.unwrap();
    store.take_access_tokens_away(|_| true, intent(3).hash, at(9)).await.unwrap();
    store.clear_applied_intents().await.unwrap();
    let again = Store::over(open().await).await.unwrap();
    for (record, is_marked) in [(1, true), (2, true), (3, true), (4, false)] {
        assert_eq!(again.is_taken_away(intent(record).hash).await.unwrap(), is_marked, "{record}");
        assert!(!again.is_applied(record).await.unwrap());
    }
    assert!(again.version(&OWNER, &name("one"), VersionSelector::Current).unwrap().status.disabled);
}

async fn a_scheduled_destruction_names_its_intent_until_it_is_cancelled(open: impl AsyncFn() -> Opened) {
    let store = Store::over(open().await).await.unwrap();
    for number in [1, 2] {
        let id = u8::try_from(number).unwrap();
        store.reserve(reservation(id, "one", number), START).await.unwrap();
        store.complete(reservation(id, "one", number), public_key(), START).await.unwrap();
    }
    let two = KeyVersionNumber::new(2).unwrap();
    let change = async |action, record| {
        let transitions = store.lifecycle(&OWNER, &name("one")).transitions(two, action).unwrap();
        let update = LifecycleUpdate {
            eoa: OWNER,
            name: name("one"),
            transitions,
            intent: intent(record),
            is_take_away: false,
            at: at(9),
            destroy_at: Some(at(99)),
            reason: None,
        };
        store.apply(update).await.unwrap();
        let again = Store::over(open().await).await.unwrap();
        again.version_by_number(&OWNER, &name("one"), two).unwrap().destroy_intent
    };
    assert_eq!(change(LifecycleAction::ScheduleDestroy, 5).await, Some(intent(5)));
    assert_eq!(change(LifecycleAction::Restore, 6).await, None);
    assert_eq!(change(LifecycleAction::ScheduleDestroy, 7).await, Some(intent(7)));
    // What was asked for stays said.
    assert_eq!(change(LifecycleAction::Destroy, 8).await, Some(intent(7)));
}

async fn settings_survive_a_restart(open: impl AsyncFn() -> Opened) {
    let store = Store::over(open().await).await.unwrap();
    let policy = Policy { per_minute: std::num::NonZeroU32::new(7), ..Policy::default() };
    store.set_policy(OWNER, name("one"), policy.clone()).await.unwrap();
    store.set_policy(OWNER, name("two"), policy.clone()).await.unwrap();
    store.set_policy(OWNER, name("two"), Policy::default()).await.unwrap();
    let own = Schedule { every_days: 60, ..SCHEDULE };
    store.set_schedule(OWNER, ScheduleScope::All, Some(SCHEDULE), 1).await.unwrap();
    store.set_schedule(OWNER, ScheduleScope::One(name("one")), Some(own), 2).await.unwrap();
    store.set_schedule(OWNER, ScheduleScope::One(name("two")), Some(own), 3).await.unwrap();
    store.set_schedule(OWNER, ScheduleScope::One(name("two")), None, 4).await.unwrap();

    let freeze = Freeze { since: at(5), reason: Some("suspicion".to_owned()) };
    store.set_freeze(Some(freeze.clone()), IntentMark::Applied(5)).await.unwrap();
    assert!(store.is_applied(5).await.unwrap());

    let again = Store::over(open().await).await.unwrap();
    for store in [&store, &again] {
        assert_eq!(store.freeze().as_deref(), Some(&freeze));
        assert_eq!(*store.policy(&OWNER, &name("one")), policy);
        assert_eq!(*store.policy(&OWNER, &name("two")), Policy::default());
        assert_eq!(*store.policy(&OTHER, &name("one")), Policy::default());
        assert_eq!(store.schedule_of(&OWNER, &name("one")), Some(own));
        assert_eq!(store.schedule_of(&OWNER, &name("two")), Some(SCHEDULE));
        assert_eq!(store.schedule_of(&OTHER, &name("one")), None);
        assert!(store.is_applied(4).await.unwrap());
    }
}

async fn access_tokens_are_revoked_and_deleted_durably(open: impl AsyncFn() -> Opened) {
    let store = Store::over(open().await).await.unwrap();
    let (one, two, three) = (token(OWNER, 100), token(OWNER, 9_000), token(OTHER, 100));
    for (hash, record) in [&one, &two, &three] {
        store.insert_access_token(*hash, record.clone()).await.unwrap();
    }
    assert!(
        store.touch(&two.1.id, at(10)) && !store.touch(&two.1.id, at(11)) && store.touch(&two.1.id, at(70))
    );
    store.write_last_use(two.1.id.clone(), at(70)).await.unwrap();
    assert!(store.revoke_access_token(one.1.id.clone(), at(20)).await.unwrap().is_some());
    let again = store.revoke_access_token(one.1.id.clone(), at(30)).await.unwrap().unwrap();
    assert_eq!(again.revoked_at, Some(at(20)), "revoking twice keeps the first time");
    let unknown = AccessTokenId::random().unwrap();
    assert!(store.revoke_access_token(unknown, at(20)).await.unwrap().is_none());
    let revoked = store.revoke_access_tokens_of(Subject::Eoa(OWNER), at(40)).await.unwrap();
    assert_eq!(revoked.len(), 1, "the other one was revoked before");

    let store = Store::over(open().await).await.unwrap();
    assert_eq!(store.access_token_count(), 3);
    let kept = store.access_token(&two.0).unwrap();
    assert_eq!((kept.revoked_at, kept.last_used_at), (Some(at(40)), Some(at(70))));
    assert_eq!((kept.scopes, &kept.keys), (two.1.scopes, &two.1.keys));
    assert!(!store.is_live(&two.1.id, at(50)) && store.is_live(&three.1.id, at(50)));
    assert!(!store.is_live(&three.1.id, at(100)), "expired at its last second");
    assert_eq!(store.delete_dead_tokens(at(50)).await.unwrap(), 2);
    assert_eq!(store.delete_expired_tokens(at(3_600)).await.unwrap(), 0);
    assert_eq!(store.delete_expired_tokens(at(3_700)).await.unwrap(), 1);
    assert_eq!(Store::over(open().await).await.unwrap().access_token_count(), 0);
}

async fn a_challenge_gives_one_token_and_an_owner_holds_few(open: impl AsyncFn() -> Opened) {
    let backend = open().await;
    let login = |nonce: u8, (hash, record): (AccessTokenHash, AccessTokenRecord)| Login {
        nonce: [nonce; 32],
        challenge_expires_at: at(300),
        hash,
        record,
        tokens_per_owner: 3,
        delete_expired_before: START,
    };
    let first = token(OWNER, 100);
    assert!(!backend.is_challenge_used([1; 32]).await.unwrap());
    let accepted = backend.log_in(login(1, first.clone())).await.unwrap();
    assert_eq!(accepted, ChallengeUse::Accepted(Vec::new()));
    assert!(backend.is_challenge_used([1; 32]).await.unwrap());
    let repeated = backend.log_in(login(1, token(OWNER, 100))).await.unwrap();
    assert_eq!(repeated, ChallengeUse::AlreadyUsed);
    backend.log_in(login(2, token(OTHER, 100))).await.unwrap();
    for nonce in 3..=4 {
        let accepted = backend.log_in(login(nonce, token(OWNER, 100))).await.unwrap();
        assert_eq!(accepted, ChallengeUse::Accepted(Vec::new()));
    }
    // The fourth of this owner replaces the oldest, though all were made in one second.
    let accepted = backend.log_in(login(5, token(OWNER, 100))).await.unwrap();
    assert_eq!(accepted, ChallengeUse::Accepted(vec![first.0]));
    // Expired login tokens of all owners go, and used challenges that expired.
    let late = Login { delete_expired_before: at(400), ..login(6, token(OWNER, 9_000)) };
    let ChallengeUse::Accepted(deleted) = backend.log_in(late).await.unwrap() else {
        panic!("not used before")
    };
    assert_eq!(deleted.len(), 4);
    assert!(!backend.is_challenge_used([1; 32]).await.unwrap());
    assert!(backend.is_challenge_used([6; 32]).await.unwrap());
    assert_eq!(backend.load().await.unwrap().access_tokens.len(), 1);
}

async fn events_are_delivered_in_order_for_each_key(open: impl AsyncFn() -> Opened) {
    let store = Store::over(open().await).await.unwrap();
    store.set_webhooks(vec!["a".to_owned(), "b".to_owned()]).await.unwrap();
    for (id, key) in [(1, "one"), (2, "two")] {
        store.reserve(reservation(id, key, 1), START).await.unwrap();
        store.complete(reservation(id, key, 1), public_key(), START).await.unwrap();
    }
    let all = store.events(None, 0, 100).await.unwrap();
    let kinds: Vec<_> =
        all.iter().map(|event| (event.seq, event.name.as_str(), event.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (1, "one", "version.created"),
            (2, "one", "version.activated"),
            (3, "two", "version.created"),
            (4, "two", "version.activated")
        ]
    );
    assert_eq!(store.events(Some(OWNER), 2, 1).await.unwrap()[0].seq, 3);
    assert!(store.events(Some(OTHER), 0, 100).await.unwrap().is_empty());

    let due = async |webhook: &str, now| -> Vec<u64> {
        let due = store.due_deliveries(webhook, now).await.unwrap();
        due.iter().map(|delivery| delivery.event.seq).collect()
    };
    assert_eq!(due("a", START).await, [1, 3], "of each key the oldest alone");
    let mut deliveries = store.due_deliveries("a", START).await.unwrap();
    store.not_delivered(deliveries.remove(0), START).await.unwrap();
    assert_eq!(due("a", START).await, [3]);
    assert_eq!(due("a", at(1)).await, [1, 3]);
    store.delivered(deliveries.remove(0)).await.unwrap();
    assert_eq!(due("a", START).await, [4]);
    assert_eq!(due("b", START).await, [1, 3], "each webhook has its own deliveries");
    let pending = store.pending_deliveries().await.unwrap();
    assert_eq!((pending.pending, pending.failing), (7, 1));
    store.set_webhooks(vec!["b".to_owned()]).await.unwrap();
    assert_eq!(store.pending_deliveries().await.unwrap().pending, 4);
    assert!(due("a", at(10_000)).await.is_empty());
}
