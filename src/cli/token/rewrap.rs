//! `avs-kms rewrap`: moves all keys to another token, scheme or key-encryption key.
//!
//! Both sides exist until the move is final. It is final with one file: the change of the checkpoint key in the audit log
//! (`last_step`). Before it the old configuration serves as ever; after it only the new one does. Not for: sealing and
//! proving (`hsm::Rewrap`).

mod last_step;
mod two_sides;

use std::cell::Cell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use self::two_sides::{TwoSides, failed};
use crate::cli::error::CliError;
use crate::cli::output::{Output, say};
use crate::config::{ConfigErrors, Configuration};
use hsm::{CheckpointKey, KeyId, RewrapCaller, RewrapReport, RewrapSide};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Whole configuration of the new side: its sections pkcs11 and keys differ, data and audit directory are the same
    #[arg(long, value_name = "FILE")]
    to_config: PathBuf,
}

/// How often progress is said.
const SAID_EVERY: Duration = Duration::from_secs(2);

pub(in crate::cli) fn run(
    arguments: &Arguments,
    old: &Configuration,
    load: &dyn Fn(Option<&Path>) -> Result<Configuration, ConfigErrors>,
    output: Output,
) -> Result<(), CliError> {
    let file = &arguments.to_config;
    let new = load(Some(file)).map_err(|errors| CliError::usage(errors.to_string()))?;
    let sides = TwoSides::begin(old, &new)?;
    let moved = if sides.is_final()? {
        say("the keys were moved before; what is left of the old side is destroyed now");
        None
    } else {
        let alive = sides.start(old)?;
        let progress = Progress::new("sealed for the new side and proven");
        let copied = sides.open()?.copy(&Caller { old, alive, progress }).map_err(|error| {
            failed("the keys were not moved; the old configuration serves as before", &error)
        })?;
        let copied = Arc::new(copied);
        let reports = [RewrapSide::Old, RewrapSide::New].map(|side| copied.report(side));
        last_step::make_final(&sides, &copied)?;
        Some((copied.keys(), reports))
    };
    // Proves that the new side serves, before anything is destroyed.
    sides.start(&new).map_err(|error| error.with_hint(FINAL))?;
    let progress = Progress::new("destroyed on the old side");
    let destroyed = sides
        .open()?
        .destroy_old(&|done, all| progress.say(done, all))
        .map_err(|error| failed("the keys are moved, and something of the old side is left", &error))
        .map_err(|error| error.with_hint(FINAL))?;
    report(moved, destroyed, (old, file), output);
    Ok(())
}

/// Of errors after the move is final.
const FINAL: &str = "the move itself is final: repeat the command to destroy the old side";

/// What the move asks while it copies.
struct Caller<'a> {
    old: &'a Configuration,
    alive: HashSet<KeyId>,
    progress: Progress,
}

impl RewrapCaller for Caller<'_> {
    fn accept_key(&self, key: &CheckpointKey) -> Result<(), String> {
        last_step::refuse_replaced(self.old, key)
    }

    fn is_gone(&self, key: KeyId) -> bool {
        !self.alive.contains(&key)
    }

    fn progress(&self, done: usize, all: usize) {
        self.progress.say(done, all);
    }
}

/// Says how many of how many keys are done, now and then and at the end.
struct Progress {
    what: &'static str,
    last: Cell<Instant>,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self { what, last: Cell::new(Instant::now()) }
    }

    fn say(&self, done: usize, all: usize) {
        if done == all || self.last.get().elapsed() >= SAID_EVERY {
            self.last.set(Instant::now());
            say(&format!("{done} of {all} keys {}", self.what));
        }
    }
}

fn report(
    moved: Option<(usize, [RewrapReport; 2])>,
    destroyed: usize,
    (old, file): (&Configuration, &Path),
    output: Output,
) {
    let side = |report: &RewrapReport| {
        json!({
            "token_label": report.token_label,
            "token_serial": report.token_serial,
            "kek_id": report.kek_id,
            "scheme": report.scheme,
            "variant": report.variant,
            "location": report.location,
            "checkpoint_key": report.checkpoint_key,
        })
    };
    let fields = match &moved {
        Some((keys, [from, to])) => {
            json!({"moved": keys, "destroyed": destroyed, "from": side(from), "to": side(to)})
        }
        None => json!({"moved": 0, "destroyed": destroyed, "from": Value::Null, "to": Value::Null}),
    };
    output.print(&fields, || {
        let moved = moved.as_ref().map_or_else(String::new, |(keys, [from, to])| {
            let side = |side: &RewrapReport| format!("token {} (serial {})", side.token_label, side.token_serial);
            format!(
                "moved {keys} keys from {} to {}: scheme {}/{}, checkpoint key {}, wrapped records in the {}. ",
                side(from),
                side(to),
                to.scheme,
                to.variant,
                to.checkpoint_key,
                to.location
            )
        });
        format!(
            "{moved}Destroyed {destroyed} records of the old side, and the keys that avs-kms made there. Next: start the \
             service with {}; write a new backup, because an older one needs the old token; give auditors the new public \
             key of the log, which the old one has signed.{}",
            file.display(),
            left(old)
        )
    });
}

/// What this program does not destroy.
fn left(old: &Configuration) -> String {
    let pkcs11 = &old.pkcs11;
    let labels: Vec<_> = pkcs11.kek_label.iter().chain(&pkcs11.checkpoint_key_label).cloned().collect();
    match labels.is_empty() {
        true => " The old token itself is left: its administrator may erase it.".to_owned(),
        false => format!(
            " Left in the old token are the keys that its administrator made: {}. Have them destroyed: the old \
             key-encryption key opens the records in older backups.",
            labels.join(", ")
        ),
    }
}
