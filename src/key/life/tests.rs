#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use proptest::prelude::*;

use super::*;

const CHANGES: [(&str, Change); 7] = [
    ("activate", Change::Activate),
    ("retire", Change::Retire),
    ("disable", Change::Disable),
    ("enable", Change::Enable),
    ("schedule", Change::ScheduleDestroy),
    ("restore", Change::Restore),
    ("destroy", Change::Destroy),
];

/// Every standing that there is: a letter for the stage (G: retiring, R: retired, X: destroyed), `f` frozen, `d` doomed.
/// Cells: the standing after the change, `=` where it holds already, `-` and the refusal's letter where it is refused.
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

fn standing(text: &str) -> Standing {
    let stage = match text.as_bytes()[0] {
        b'P' => Stage::Pending,
        b'A' => Stage::Active,
        b'G' => Stage::Retiring,
        b'R' => Stage::Retired,
        b'X' => Stage::Destroyed,
        other => panic!("{other}"),
    };
    Standing { stage, frozen: text.contains('f'), doomed: text.contains('d') }
}

fn refusal(text: &str) -> Refusal {
    match text {
        "-c" => Refusal::Current,
        "-f" => Refusal::Disabled,
        "-o" => Refusal::Past,
        "-p" => Refusal::Pending,
        "-r" => Refusal::Retired,
        "-s" => Refusal::Scheduled,
        "-u" => Refusal::Unscheduled,
        "-x" => Refusal::Destroyed,
        other => panic!("{other}"),
    }
}

#[test]
fn every_change_in_every_standing_is_decided_as_the_table_says() {
    let mut rows =
        TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|row| !row.is_empty());
    let head = rows.next().unwrap();
    assert_eq!(head, CHANGES.map(|(name, _)| name));
    let mut decided = 0;
    for row in rows {
        let from = standing(row[0]);
        for ((name, change), cell) in CHANGES.iter().zip(&row[1..]) {
            let expected = match *cell {
                "=" => Ok(from),
                cell if cell.starts_with('-') => Err(refusal(cell)),
                cell => Ok(standing(cell)),
            };
            assert_eq!(from.after(*change), expected, "{name} of {}", row[0]);
            decided += 1;
        }
    }
    assert_eq!(decided, 13 * 7);
}

#[test]
fn the_words_of_the_api_follow_from_the_standing() {
    for (text, word) in [
        ("P", "pending"),
        ("Pf", "disabled"),
        ("Pd", "scheduled_destroy"),
        ("Pfd", "scheduled_destroy"),
        ("A", "active"),
        ("Af", "disabled"),
        ("G", "retiring"),
        ("Gf", "disabled"),
        ("Gd", "scheduled_destroy"),
        ("Gfd", "scheduled_destroy"),
        ("R", "retired"),
        ("Rd", "scheduled_destroy"),
        ("X", "destroyed"),
    ] {
        assert_eq!(standing(text).state().as_str(), word, "{text}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Rotate,
    Change(u32, Change),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let change = (1..8_u32, 0..CHANGES.len()).prop_map(|(version, n)| Move::Change(version, CHANGES[n].1));
    // Often enough of the rare successes that carry a life forward.
    let forward =
        (1..8_u32, prop_oneof![Just(Change::Activate), Just(Change::ScheduleDestroy), Just(Change::Destroy)])
            .prop_map(|(version, change)| Move::Change(version, change));
    proptest::collection::vec(prop_oneof![2 => Just(Move::Rotate), 4 => change, 2 => forward], 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_one_version_is_current_no_number_comes_twice_and_the_dead_stay_dead(moves in moves()) {
        let mut life = Life::default();
        let mut used = std::collections::HashSet::new();
        for step in moves {
            let before = life.clone();
            match step {
                Move::Rotate => {
                    let (version, stage) = life.next().unwrap();
                    prop_assert!(used.insert(version), "{version} was used before");
                    life.0.push((version, Standing::new(stage)));
                }
                Move::Change(number, change) => {
                    let target = Version::new(number).unwrap();
                    match life.steps(target, change) {
                        Err(_) => {}
                        Ok(steps) => {
                            for step in steps {
                                let entry = life.0.iter_mut().find(|(version, _)| *version == step.version).unwrap();
                                prop_assert_eq!(entry.1, step.from);
                                entry.1 = step.to;
                                let current = life.0.iter().filter(|(_, s)| s.stage == Stage::Active).count();
                                prop_assert!(current <= 1, "two are current between two steps");
                            }
                            let repeated = life.steps(target, change);
                            prop_assert_eq!(repeated, Ok(Vec::new()), "a repetition changes something");
                        }
                    }
                }
            }
            let current = life.0.iter().filter(|(_, standing)| standing.stage == Stage::Active).count();
            prop_assert_eq!(current, usize::from(!life.0.is_empty()));
            for ((version, was), (_, is)) in before.0.iter().zip(&life.0) {
                if was.stage == Stage::Destroyed {
                    prop_assert_eq!(was, is, "{} came back", version);
                }
                prop_assert!(is.stage as u8 >= was.stage as u8, "{} went back", version);
            }
            for (_, standing) in &life.0 {
                let signs = standing.may_sign().is_ok();
                prop_assert!(!signs || !(standing.frozen || standing.doomed), "{:?} signs", standing);
                prop_assert!(!signs || matches!(standing.stage, Stage::Pending | Stage::Active | Stage::Retiring));
            }
        }
    }
}
