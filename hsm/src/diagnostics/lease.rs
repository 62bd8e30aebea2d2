//! What the leases in the token say to `doctor`. Takes and removes none.

use super::check::DiagnosticCheck;
use crate::error::OpenError;
use crate::keys::lock::TokenLock;
use crate::pkcs11::Session;
use crate::settings::Settings;
use crate::softhsm;
use crate::token::lease::{self, boot_id};

const WHAT: &str = "no other process has the token";

/// Whether a start would get the token. The caller holds the lock of the data directory.
pub(super) fn leases(
    session: &Session,
    (settings, serial): (&Settings, &str),
    lock: &TokenLock,
) -> Result<DiagnosticCheck, OpenError> {
    if let Some(layout) = &settings.softhsm {
        let locked = softhsm::files::lock(layout, serial);
        let (passed, found) = match locked {
            Ok(_) => (true, "SoftHSM's directory of it is not locked".to_owned()),
            Err(error) => (false, error.to_string()),
        };
        return Ok(DiagnosticCheck { what: WHAT, passed, fatal: false, found });
    }
    let (boot, lock) = (boot_id(&settings.lease), lock.identity()?);
    let claims: Vec<_> = lease::read(session)?.into_iter().map(|(_, claim)| claim).collect();
    let is_over = |claim: &lease::Claim| claim.has_ended(&boot, lock);
    let found = match claims.iter().find(|claim| !claim.as_ref().is_some_and(is_over)) {
        Some(other) => Err(format!(
            "{} has its lease; a start asks that process, waits {} s for its answer, and refuses if it lives",
            lease::describe(other.as_ref()),
            settings.lease.patience.as_secs()
        )),
        None => Ok(match claims.first() {
            None => "no process has its lease".to_owned(),
            Some(ended) => {
                format!(
                    "{} had its lease and has ended; the next start takes it",
                    lease::describe(ended.as_ref())
                )
            }
        }),
    };
    let (passed, found) = (found.is_ok(), found.unwrap_or_else(|found| found));
    Ok(DiagnosticCheck { what: WHAT, passed, fatal: false, found })
}
