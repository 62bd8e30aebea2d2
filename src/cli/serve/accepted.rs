//! What the administrator accepts of one start, by name; the audit log records each.

use audit_log::KnownHead;
use clap::Args;

use super::stamps::StoreHeadChain;

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Accepted {
    /// Start although the audit log is older than a known checkpoint, or has none; the log records it
    ///
    /// Pass the SIZE:ROOT printed by the refusal; repeat it for several. What the log lacks is lost.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(super) accept_audit_rollback: Vec<KnownHead>,
    /// Start although the store is older than what the audit log knows of it; the log records it
    ///
    /// Pass the value printed by the refusal. Access tokens revoked since and versions disabled since work again.
    #[arg(long, value_name = "CHAIN")]
    pub(super) accept_store_rollback: Vec<StoreHeadChain>,
    /// Believe a clock that is behind the newest audit record; the log records it
    ///
    /// For a clock that was ahead by mistake and was corrected. Access tokens that expired by the wrong clock work again.
    #[arg(long)]
    pub(super) accept_clock_set_back: bool,
    /// Take the token from the process that its lease names, which is gone for good; the log records it
    ///
    /// Also from another installation. A process that still runs there stops as soon as it looks.
    #[arg(long)]
    pub(super) take_over_token: bool,
}
