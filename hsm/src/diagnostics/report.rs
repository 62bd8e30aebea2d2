//! The report on a slot. Not for what is asked of the slot.

use super::check::DiagnosticCheck;
use crate::arena::SecretMemory;
use crate::health::Findings;
use crate::token::checkpoint_key::CheckpointKey;

/// The report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// Description and version of the module, and the version of the standard that it claims.
    pub library: String,
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token.
    pub token_serial: String,
    /// `ok`, `count low`, `final try`, `locked` or `not set`: the user PIN, before the login.
    pub pin: &'static str,
    /// Sessions in all and read-write ones, as the token counts them: open, and how many there may be.
    pub sessions: String,
    /// The scheme that new records get, where the probe found one that works, for example `S1`.
    pub scheme: Option<&'static str>,
    /// Its variant; for S1 who chooses the initialisation vector.
    pub variant: Option<&'static str>,
    /// Where the wrapped records are, `token` or `store`; before `init` where they would be.
    pub location: Option<&'static str>,
    /// Kind of memory for scalars.
    pub secret_memory: SecretMemory,
    /// Sound records, authenticity not checked.
    pub keys: usize,
    /// Other objects.
    pub findings: Findings,
    /// What the token remembers of the audit log ([`crate::Enclave::audit_anchors`]).
    pub audit_anchors: Vec<Vec<u8>>,
    /// The public half of the key that signs checkpoints, where there is one fit.
    pub checkpoint_key: Option<CheckpointKey>,
    /// What that key is, and where; before `init` what it would be.
    pub checkpoint_key_kind: Option<&'static str>,
    /// Everything that was checked, in order.
    pub checks: Vec<DiagnosticCheck>,
}

impl Diagnostics {
    /// Whether the enclave would open and be safe to use.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.checks.iter().all(|check| check.passed || !check.fatal)
    }
}

/// What a token without data objects costs.
pub(super) const NO_ANCHOR: &str = "it keeps none: an audit log that was put back to an earlier state is noticed only by a checkpoint \
                         that is kept elsewhere (audit.checkpoint_file, audit.checkpoint_webhook_url), and no lease, so \
                         two services that use it do not notice each other";
