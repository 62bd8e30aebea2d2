#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use hsm::{G1Point, G2Point, KeyId, PublicKey};

use super::*;
use crate::key::VersionTimestamps;
use crate::key::{Eoa, KeyVersionNumber, VersionStatus};

const SCHEDULE: Schedule = Schedule {
    every_days: 90,
    announce_days: 7,
    overlap_days: 21,
    activate: true,
    retire_on: RetireOn::Overlap,
    jitter_hours: 0,
};

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + number * 86_400).unwrap()
}

fn version(number: u32, lifecycle: LifecycleState) -> KeyVersion {
    let mut g1 = [0; 64];
    (g1[31], g1[63]) = (1, 2);
    // The generator of G2, imaginary coefficients first.
    let g2 = hex::decode(concat!(
        "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2",
        "1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed",
        "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b",
        "12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa"
    ));
    let public_key = PublicKey {
        g1: G1Point::from_bytes(&g1).unwrap(),
        g2: G2Point::from_bytes(&g2.unwrap().try_into().unwrap()).unwrap(),
    };
    KeyVersion {
        id: KeyId::from_bytes([u8::try_from(number).unwrap(); 16]),
        eoa: Eoa::new([1; 20]),
        name: Default::default(),
        version: KeyVersionNumber::new(number).unwrap(),
        status: VersionStatus::new(lifecycle),
        public_key,
        binding: None,
        registration: None,
        times: VersionTimestamps {
            created: day(0),
            activated: None,
            superseded: None,
            retired: None,
            destroy: None,
            destroyed: None,
            announced: None,
        },
        destroy_intent: None,
    }
}

fn active(number: u32, since: i64) -> KeyVersion {
    let mut version = version(number, LifecycleState::Active);
    version.times.activated = Some(day(since));
    version
}

fn at(
    versions: &[KeyVersion],
    word: impl Fn(&KeyVersion) -> RegistryStatus,
    schedule: Option<&Schedule>,
    now: i64,
) -> Vec<String> {
    let versions: Vec<_> = versions.iter().cloned().map(Arc::new).collect();
    let name = |due: DueAction| {
        let action = format!("{:?}", due.action);
        format!("{} {}", action.split(' ').next().unwrap(), due.version.version)
    };
    due(&versions, schedule, word, day(now)).into_iter().map(name).collect()
}

fn unwatched(_: &KeyVersion) -> RegistryStatus {
    RegistryStatus::NotTracked
}

#[test]
fn a_period_runs_from_announcement_to_activation() {
    let current = active(1, 0);
    assert!(at(std::slice::from_ref(&current), unwatched, Some(&SCHEDULE), 82).is_empty());
    assert_eq!(
        at(std::slice::from_ref(&current), unwatched, Some(&SCHEDULE), 83),
        ["Announce 1", "Rotate 1"]
    );
    assert!(at(std::slice::from_ref(&current), unwatched, None, 1_000).is_empty(), "no schedule");
    let mut announced = current;
    announced.times.announced = Some(day(83));
    let mut pending = version(2, LifecycleState::Pending);
    pending.times.created = day(83);
    let both = [announced, pending];
    assert!(at(&both, unwatched, Some(&SCHEDULE), 89).is_empty());
    assert_eq!(at(&both, unwatched, Some(&SCHEDULE), 90), ["Activate 2"]);
    let by_hand = Schedule { activate: false, ..SCHEDULE };
    assert!(at(&both, unwatched, Some(&by_hand), 400).is_empty());
}

#[test]
fn after_a_long_absence_the_new_version_still_has_its_time_before_it_is_current() {
    let mut current = active(1, 0);
    assert_eq!(
        at(std::slice::from_ref(&current), unwatched, Some(&SCHEDULE), 400),
        ["Announce 1", "Rotate 1"]
    );
    current.times.announced = Some(day(400));
    let mut pending = version(2, LifecycleState::Pending);
    pending.times.created = day(400);
    let both = [current, pending];
    assert!(at(&both, unwatched, Some(&SCHEDULE), 406).is_empty());
    assert_eq!(at(&both, unwatched, Some(&SCHEDULE), 407), ["Activate 2"]);
}

#[test]
fn the_chain_decides_where_it_is_followed() {
    let pending = version(2, LifecycleState::Pending);
    let both = [active(1, 0), pending];
    let new = |word| {
        move |version: &KeyVersion| {
            if version.version.number() == 2 { word } else { RegistryStatus::NotRegistered }
        }
    };
    assert_eq!(
        at(&both, new(RegistryStatus::Registered), None, 1),
        ["Activate 2"],
        "a schedule is not needed"
    );
    for word in [RegistryStatus::NotRegistered, RegistryStatus::Unreachable] {
        let due = at(&both, new(word), Some(&SCHEDULE), 400);
        assert!(!due.contains(&"Activate 2".to_owned()), "{word:?}: {due:?}");
    }
    let mut disabled = both;
    disabled[1].status.disabled = true;
    assert!(at(&disabled, new(RegistryStatus::Registered), None, 1).is_empty());
}

#[test]
fn an_old_version_goes_after_its_overlap_and_never_against_the_chain() {
    let mut old = version(1, LifecycleState::Retiring);
    old.times.superseded = Some(day(100));
    let both = [old, active(2, 100)];
    assert!(at(&both, unwatched, Some(&SCHEDULE), 120).is_empty());
    assert_eq!(at(&both, unwatched, Some(&SCHEDULE), 121), ["Retire 1"]);
    let confirmed = Schedule { retire_on: RetireOn::Confirmed, ..SCHEDULE };
    assert!(at(&both, unwatched, Some(&confirmed), 150).is_empty(), "no confirmation");
    let says = |old, new| move |version: &KeyVersion| if version.version.number() == 1 { old } else { new };
    for schedule in [None, Some(&SCHEDULE), Some(&confirmed)] {
        assert_eq!(
            at(&both, says(RegistryStatus::NotRegistered, RegistryStatus::Registered), schedule, 121),
            ["Retire 1"]
        );
        assert!(
            at(&both, says(RegistryStatus::NotRegistered, RegistryStatus::Registered), schedule, 120)
                .is_empty(),
            "the overlap is not over"
        );
        for (old, new) in [
            (RegistryStatus::Registered, RegistryStatus::NotRegistered),
            (RegistryStatus::Unreachable, RegistryStatus::Registered),
            (RegistryStatus::NotRegistered, RegistryStatus::NotRegistered),
        ] {
            assert!(at(&both, says(old, new), schedule, 150).is_empty(), "{old:?} {new:?}");
        }
    }
}

#[test]
fn only_a_date_that_has_come_destroys_and_a_begun_destruction_continues() {
    let mut scheduled = version(1, LifecycleState::Retired);
    scheduled.status.destruction_scheduled = true;
    scheduled.times.destroy = Some(day(30));
    let both = [scheduled, active(2, 0)];
    assert!(at(&both, unwatched, None, 29).is_empty());
    assert_eq!(at(&both, unwatched, None, 30), ["Destroy 1"]);
    let mut half = both;
    half[0].status = VersionStatus::new(LifecycleState::Destroyed);
    assert_eq!(at(&half, unwatched, None, 1), ["Destroy 1"]);
    half[0].times.destroyed = Some(day(30));
    assert!(at(&half, unwatched, None, 500).is_empty());
}
