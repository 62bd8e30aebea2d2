//! The report on a slot before `init`: what `init` would make there was tried, and destroyed again. Not for the steps:
//! `runtime::initialise`.

use super::check::DiagnosticCheck;
use super::host::host;
use super::report::{Diagnostics, NO_ANCHOR};
use super::token::{pin_state, sessions};
use crate::error::{OpenError, explained};
use crate::health::Findings;
use crate::key::KeyId;
use crate::runtime::initialise::rehearsal::{self, Rehearsed};
use crate::runtime::start::{self, Prepared};
use crate::settings::Settings;
use crate::token::connection::{LoggedInToken, finalise};

/// See [`crate::Enclave::rehearse`].
pub(crate) fn rehearse(settings: &Settings, own: Option<KeyId>) -> Result<Diagnostics, OpenError> {
    let Prepared { lock: _lock, credential, mut arena, module, .. } = start::prepare(settings)?;
    bn254_ct::initialise();
    let login = LoggedInToken::new(&module, &settings.token, None, &credential)?;
    let report = || {
        Ok(Diagnostics {
            library: module.description(login.generation)?,
            token_label: login.info.label.clone(),
            token_serial: login.info.serial.clone(),
            pin: pin_state(&login.info.info),
            sessions: sessions(&module, &login),
            scheme: None,
            variant: None,
            location: None,
            secret_memory: arena.kind(),
            keys: 0,
            findings: Findings::default(),
            audit_anchors: Vec::new(),
            checkpoint_key: None,
            checkpoint_key_kind: None,
            checks: Vec::new(),
        })
    };
    let report: Result<_, OpenError> = report();
    let rehearsed = report.map(|report| (report, rehearsal::rehearse(&login, &mut arena, settings, own)));
    drop(login);
    finalise(&module);
    let (mut report, rehearsed) = rehearsed?;
    fill(&mut report, rehearsed);
    report.checks.extend(host(arena.kind()));
    Ok(report)
}

fn fill(report: &mut Diagnostics, rehearsed: Rehearsed) {
    let Rehearsed { progress, outcome, removed } = rehearsed;
    let mut check = |what, fatal, result: Result<String, String>| {
        let (passed, found) = (result.is_ok(), result.unwrap_or_else(|found| found));
        report.checks.push(DiagnosticCheck { what, passed, fatal, found });
    };
    for (what, found) in progress.done {
        check(what, true, Ok(found));
    }
    match &outcome {
        Ok(planned) => {
            let kept = match planned.keeps_anchors {
                true => Ok("it takes data objects".to_owned()),
                false => Err(NO_ANCHOR.to_owned()),
            };
            check("the token keeps the newest checkpoint of the audit log", false, kept);
        }
        Err(error) => check(progress.current, true, Err(explained(error))),
    }
    // A token that keeps what it should destroy fills up, and every destroyed key would stay in it.
    check(
        "what was tried is destroyed again",
        true,
        match removed {
            Ok(count) => Ok(format!("{count} objects")),
            Err(error) => Err(explained(&error)),
        },
    );
    if let Ok(planned) = outcome {
        let described = planned.described;
        report.scheme = Some(described.scheme);
        report.variant = Some(described.variant);
        report.location = Some(described.location);
        report.checkpoint_key_kind = Some(described.checkpoint_key);
    }
}
