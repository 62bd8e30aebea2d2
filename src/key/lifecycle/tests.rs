#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use proptest::prelude::*;

use super::*;
use crate::key::transition_table::{Authority, TRANSITIONS, Undo};

const ACTIONS: [(&str, LifecycleAction); 8] = [
    ("activate", LifecycleAction::Activate),
    ("retire", LifecycleAction::Retire),
    ("unretire", LifecycleAction::Unretire),
    ("disable", LifecycleAction::Disable),
    ("enable", LifecycleAction::Enable),
    ("schedule", LifecycleAction::ScheduleDestroy),
    ("restore", LifecycleAction::Restore),
    ("destroy", LifecycleAction::Destroy),
];

/// Every possible status: a letter for the progress (G: retiring, R: retired, X: destroyed), `f`
/// disabled, `d` scheduled for destruction. Cells: the status after the action, `=` if it does not
/// change, `-` and a letter for the error.
const TABLE: &str = "
        activate  retire  unretire  disable  enable  schedule  restore  destroy
    P   A         -p      =         Pf       =       Pd        =        -u
    Pf  -f        -p      =         =        P       Pfd       =        -u
    Pd  -s        -s      -s        -s       -s      =         P        X
    Pfd -s        -s      -s        -s       -s      =         Pf       X
    A   =         -c      =         Af       =       -c        =        -u
    Af  =         -c      =         =        A       -c        =        -u
    G   A         R       =         Gf       =       Gd        =        -u
    Gf  -f        Rf      =         =        G       Gfd       =        -u
    Gd  -s        -s      -s        -s       -s      =         G        X
    Gfd -s        -s      -s        -s       -s      =         Gf       X
    R   -r        =       G         -r       -r      Rd        =        -u
    Rf  -r        =       Gf        -r       -r      Rfd       =        -u
    Rd  -s        -s      -s        -s       -s      =         R        X
    Rfd -s        -s      -s        -s       -s      =         Rf       X
    X   -x        -x      -x        -x       -x      =         -x       =
";

fn status(text: &str) -> VersionStatus {
    let lifecycle = match text.as_bytes()[0] {
        b'P' => LifecycleState::Pending,
        b'A' => LifecycleState::Active,
        b'G' => LifecycleState::Retiring,
        b'R' => LifecycleState::Retired,
        b'X' => LifecycleState::Destroyed,
        other => panic!("{other}"),
    };
    VersionStatus { lifecycle, disabled: text.contains('f'), destruction_scheduled: text.contains('d') }
}

fn refusal(text: &str) -> TransitionError {
    match text {
        "-c" => TransitionError::Current,
        "-f" => TransitionError::Disabled,
        "-p" => TransitionError::Pending,
        "-r" => TransitionError::Retired,
        "-s" => TransitionError::Scheduled,
        "-u" => TransitionError::Unscheduled,
        "-x" => TransitionError::Destroyed,
        other => panic!("{other}"),
    }
}

#[test]
fn every_action_on_every_status_gives_the_result_in_the_table() {
    let mut rows =
        TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|row| !row.is_empty());
    let head = rows.next().unwrap();
    assert_eq!(head, ACTIONS.map(|(name, _)| name));
    let mut decided = 0;
    for row in rows {
        let from = status(row[0]);
        for ((name, action), cell) in ACTIONS.iter().zip(&row[1..]) {
            let expected = match *cell {
                "=" => Ok(from),
                cell if cell.starts_with('-') => Err(refusal(cell)),
                cell => Ok(status(cell)),
            };
            assert_eq!(from.after(*action), expected, "{name} of {}", row[0]);
            decided += 1;
        }
    }
    assert_eq!(decided, 15 * 8);
}

#[test]
fn the_state_in_the_api_follows_from_the_status() {
    for (text, word) in [
        ("P", "pending"),
        ("Pf", "disabled"),
        ("Pd", "destroy_scheduled"),
        ("Pfd", "destroy_scheduled"),
        ("A", "active"),
        ("Af", "disabled"),
        ("G", "retiring"),
        ("Gf", "disabled"),
        ("Gd", "destroy_scheduled"),
        ("Gfd", "destroy_scheduled"),
        ("R", "retired"),
        ("Rf", "retired"),
        ("Rd", "destroy_scheduled"),
        ("Rfd", "destroy_scheduled"),
        ("X", "destroyed"),
    ] {
        assert_eq!(status(text).state().as_str(), word, "{text}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Rotate,
    Act(u32, LifecycleAction),
}

fn pending_before(lifecycle: &KeyLifecycle) -> usize {
    lifecycle.versions.iter().filter(|(_, status)| status.lifecycle == LifecycleState::Pending).count()
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let action = (1..8_u32, 0..ACTIONS.len()).prop_map(|(version, n)| Move::Act(version, ACTIONS[n].1));
    // Actions that move a version forward rarely succeed, so they come more often.
    let forward = (
        1..8_u32,
        prop_oneof![
            Just(LifecycleAction::Activate),
            Just(LifecycleAction::ScheduleDestroy),
            Just(LifecycleAction::Destroy)
        ],
    )
        .prop_map(|(version, action)| Move::Act(version, action));
    proptest::collection::vec(prop_oneof![2 => Just(Move::Rotate), 4 => action, 2 => forward], 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_version_is_current_numbers_are_unique_and_destroyed_versions_stay_destroyed(
        moves in moves(),
        registered in any::<bool>(),
    ) {
        let mut lifecycle = KeyLifecycle { current_was_registered: registered, ..KeyLifecycle::default() };
        let mut used = std::collections::HashSet::new();
        for step in moves {
            let before = lifecycle.clone();
            match step {
                Move::Rotate => {
                    let (version, lifecycle_state) = lifecycle.next().unwrap();
                    prop_assert!(used.insert(version), "{version} was used before");
                    lifecycle.versions.push((version, VersionStatus::new(lifecycle_state)));
                }
                Move::Act(number, action) => {
                    let target = KeyVersionNumber::new(number).unwrap();
                    match lifecycle.transitions(target, action) {
                        Err(_) => {}
                        Ok(transitions) => {
                            for step in transitions {
                                let entry = lifecycle.versions.iter_mut().find(|(version, _)| *version == step.version).unwrap();
                                prop_assert_eq!(entry.1, step.from);
                                entry.1 = step.to;
                                let current = lifecycle.versions.iter().filter(|(_, s)| s.lifecycle == LifecycleState::Active).count();
                                prop_assert!(current <= 1, "two are current between two steps");
                            }
                            let repeated = lifecycle.transitions(target, action);
                            prop_assert_eq!(repeated, Ok(Vec::new()), "a repetition changes something");
                        }
                    }
                }
            }
            let pending = lifecycle.versions.iter().filter(|(_, status)| status.lifecycle == LifecycleState::Pending).count();
            prop_assert!(pending <= 1 || pending_before(&before) >= pending || matches!(step, Move::Rotate));
            let current = lifecycle.versions.iter().filter(|(_, status)| status.lifecycle == LifecycleState::Active).count();
            prop_assert_eq!(current, usize::from(!lifecycle.versions.is_empty()));
            for ((version, was), (_, is)) in before.versions.iter().zip(&lifecycle.versions) {
                if was.lifecycle == LifecycleState::Destroyed {
                    prop_assert_eq!(was, is, "{} came back", version);
                }
            }
            for (_, status) in &lifecycle.versions {
                let signs = status.may_sign().is_ok();
                prop_assert!(!signs || !(status.disabled || status.destruction_scheduled), "{:?} signs", status);
                prop_assert!(!signs || matches!(status.lifecycle, LifecycleState::Pending | LifecycleState::Active | LifecycleState::Retiring));
            }
        }
    }
}

/// The statuses that a state of the API can stand for.
fn statuses_shown_as(state: KeyState) -> Vec<VersionStatus> {
    let letters = ["P", "Pf", "Pd", "Pfd", "A", "Af", "G", "Gf", "Gd", "Gfd", "R", "Rf", "Rd", "Rfd", "X"];
    letters.iter().map(|text| status(text)).filter(|status| status.state() == state).collect()
}

#[test]
fn the_table_of_transitions_lists_exactly_what_the_state_machine_does() {
    let mut seen = std::collections::HashSet::new();
    for from in KeyState::ALL {
        for action in LifecycleAction::ALL {
            let rules: Vec<_> =
                TRANSITIONS.iter().filter(|rule| (rule.from, rule.action) == (from, action)).collect();
            assert!(rules.len() <= 1, "{from:?} {action:?} twice");
            let before = statuses_shown_as(from);
            let after = before.iter().filter_map(|status| Some((*status, status.after(action).ok()?)));
            let changed: Vec<_> = after.filter(|(before, after)| before != after).collect();
            assert_eq!(changed.is_empty(), rules.is_empty(), "{from:?} {action:?}: {changed:?}");
            for (before, after) in changed {
                assert!(rules[0].to.contains(&after.state()), "{before:?} {action:?} {after:?}");
                seen.insert((from, action, after.state()));
                if let Undo::Same(undo) = rules[0].undone_by {
                    assert_eq!(after.after(undo), Ok(before), "{before:?} {action:?} undone by {undo:?}");
                }
            }
        }
    }
    let listed: usize = TRANSITIONS.iter().map(|rule| rule.to.len()).sum();
    assert_eq!(listed, seen.len(), "a row names a state that never follows");
}

#[test]
fn what_cannot_be_undone_is_no_access_tokens_and_every_end_has_a_way_back_until_destruction() {
    for rule in TRANSITIONS {
        if rule.undone_by == Undo::Impossible {
            assert_ne!(rule.by, Authority::AccessToken, "{rule:?}");
        }
        let ends = matches!(rule.action, LifecycleAction::Destroy);
        assert_eq!(rule.undone_by == Undo::Impossible, ends, "{rule:?}");
    }
}

#[test]
fn going_back_to_a_retiring_version_keeps_the_newer_one_pending_unless_a_registry_saw_it() {
    let number = |number| KeyVersionNumber::new(number).unwrap();
    let key = |registered, third: &[&str]| KeyLifecycle {
        versions: ["G", "A"].iter().chain(third).zip(1..).map(|(it, n)| (number(n), status(it))).collect(),
        current_was_registered: registered,
    };
    let newer = |key: KeyLifecycle| {
        let transitions = key.transitions(number(1), LifecycleAction::Activate).unwrap();
        assert_eq!(transitions[1].to, status("A"));
        (transitions[0].version.number(), transitions[0].to.lifecycle)
    };
    assert_eq!(newer(key(false, &[])), (2, LifecycleState::Pending));
    assert_eq!(newer(key(true, &[])), (2, LifecycleState::Retiring));
    assert_eq!(newer(key(false, &["P"])), (2, LifecycleState::Retiring), "a key has one pending version");
}
