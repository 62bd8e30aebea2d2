#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use proptest::prelude::*;

use super::*;

const ACTIONS: [(&str, LifecycleAction); 7] = [
    ("activate", LifecycleAction::Activate),
    ("retire", LifecycleAction::Retire),
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
        activate  retire  disable  enable  schedule  restore  destroy
    P   A         -p      Pf       =       Pd        =        -u
    Pf  -f        -p      =        P       Pfd       =        -u
    Pd  -s        -s      -s       -s      =         P        X
    Pfd -s        -s      -s       -s      =         Pf       X
    A   =         -c      Af       =       -c        =        -u
    Af  =         -c      =        A       -c        =        -u
    G   -o        R       Gf       =       Gd        =        -u
    Gf  -o        R       =        G       Gfd       =        -u
    Gd  -s        -s      -s       -s      =         G        X
    Gfd -s        -s      -s       -s      =         Gf       X
    R   -o        =       -r       -r      Rd        =        -u
    Rd  -s        -s      -s       -s      =         R        X
    X   -x        -x      -x       -x      =         -x       =
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
        "-o" => TransitionError::Superseded,
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
    assert_eq!(decided, 13 * 7);
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
        ("Rd", "destroy_scheduled"),
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
    fn one_version_is_current_numbers_are_unique_and_destroyed_versions_stay_destroyed(moves in moves()) {
        let mut lifecycle = KeyLifecycle::default();
        let mut used = std::collections::HashSet::new();
        for step in moves {
            let before = lifecycle.clone();
            match step {
                Move::Rotate => {
                    let (version, lifecycle_state) = lifecycle.next().unwrap();
                    prop_assert!(used.insert(version), "{version} was used before");
                    lifecycle.0.push((version, VersionStatus::new(lifecycle_state)));
                }
                Move::Act(number, action) => {
                    let target = KeyVersionNumber::new(number).unwrap();
                    match lifecycle.transitions(target, action) {
                        Err(_) => {}
                        Ok(transitions) => {
                            for step in transitions {
                                let entry = lifecycle.0.iter_mut().find(|(version, _)| *version == step.version).unwrap();
                                prop_assert_eq!(entry.1, step.from);
                                entry.1 = step.to;
                                let current = lifecycle.0.iter().filter(|(_, s)| s.lifecycle == LifecycleState::Active).count();
                                prop_assert!(current <= 1, "two are current between two steps");
                            }
                            let repeated = lifecycle.transitions(target, action);
                            prop_assert_eq!(repeated, Ok(Vec::new()), "a repetition changes something");
                        }
                    }
                }
            }
            let current = lifecycle.0.iter().filter(|(_, status)| status.lifecycle == LifecycleState::Active).count();
            prop_assert_eq!(current, usize::from(!lifecycle.0.is_empty()));
            for ((version, was), (_, is)) in before.0.iter().zip(&lifecycle.0) {
                if was.lifecycle == LifecycleState::Destroyed {
                    prop_assert_eq!(was, is, "{} came back", version);
                }
                prop_assert!(is.lifecycle as u8 >= was.lifecycle as u8, "{} went back", version);
            }
            for (_, status) in &lifecycle.0 {
                let signs = status.may_sign().is_ok();
                prop_assert!(!signs || !(status.disabled || status.destruction_scheduled), "{:?} signs", status);
                prop_assert!(!signs || matches!(status.lifecycle, LifecycleState::Pending | LifecycleState::Active | LifecycleState::Retiring));
            }
        }
    }
}
