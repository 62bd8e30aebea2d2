//! Table of transitions: from which state to which, who may ask for it, and how it is undone.
//!
//! `docs/reference/transitions.md` is generated from it; `tests/service/lifecycle/transitions.rs`
//! carries all of it out. Not for: the marks that a state covers (`lifecycle`).

use super::lifecycle::LifecycleAction;
use super::state::KeyState;

/// The least that a caller must show for a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// An access token with the scope, a signed request, or the command line on the host.
    AccessToken,
    /// A signed request or the command line on the host; an access token is refused.
    SignedRequest,
    /// The service alone, at the date that a signed request has set.
    Service,
}

/// How a transition is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// By this action on the same version.
    Same(LifecycleAction),
    /// By activating the version that was current before.
    ActivatePrevious,
    /// Never.
    Impossible,
}

/// One row: an action on a version in `from` leaves it in one of `to`.
#[derive(Clone, Copy, Debug)]
pub struct TransitionRule {
    /// The action.
    pub action: LifecycleAction,
    /// The state before, as the API shows it.
    pub from: KeyState,
    /// The states that can follow: a mark that is removed shows the state that it covered.
    pub to: &'static [KeyState],
    /// Who may ask for it.
    pub by: Authority,
    /// How it is undone.
    pub undone_by: Undo,
}

const fn rule(
    action: LifecycleAction,
    from: KeyState,
    to: &'static [KeyState],
    by: Authority,
    undone_by: Undo,
) -> TransitionRule {
    TransitionRule { action, from, to, by, undone_by }
}

/// Every transition that a caller or the scheduler can ask for. What is not listed changes nothing or is refused.
pub const TRANSITIONS: &[TransitionRule] = {
    use Authority::{AccessToken, Service, SignedRequest};
    use KeyState::{Active, DestroyScheduled, Destroyed, Disabled, Pending, Retired, Retiring};
    use LifecycleAction as Do;
    &[
        rule(Do::Activate, Pending, &[Active], AccessToken, Undo::ActivatePrevious),
        rule(Do::Activate, Retiring, &[Active], AccessToken, Undo::ActivatePrevious),
        rule(Do::Retire, Retiring, &[Retired], AccessToken, Undo::Same(Do::Unretire)),
        rule(Do::Retire, Disabled, &[Retired], AccessToken, Undo::Same(Do::Unretire)),
        rule(Do::Unretire, Retired, &[Retiring, Disabled], SignedRequest, Undo::Same(Do::Retire)),
        rule(Do::Disable, Pending, &[Disabled], AccessToken, Undo::Same(Do::Enable)),
        rule(Do::Disable, Active, &[Disabled], AccessToken, Undo::Same(Do::Enable)),
        rule(Do::Disable, Retiring, &[Disabled], AccessToken, Undo::Same(Do::Enable)),
        rule(Do::Enable, Disabled, &[Pending, Active, Retiring], AccessToken, Undo::Same(Do::Disable)),
        rule(Do::ScheduleDestroy, Pending, &[DestroyScheduled], SignedRequest, Undo::Same(Do::Restore)),
        rule(Do::ScheduleDestroy, Retiring, &[DestroyScheduled], SignedRequest, Undo::Same(Do::Restore)),
        rule(Do::ScheduleDestroy, Retired, &[DestroyScheduled], SignedRequest, Undo::Same(Do::Restore)),
        rule(Do::ScheduleDestroy, Disabled, &[DestroyScheduled], SignedRequest, Undo::Same(Do::Restore)),
        rule(
            Do::Restore,
            DestroyScheduled,
            &[Pending, Retiring, Retired, Disabled],
            SignedRequest,
            Undo::Same(Do::ScheduleDestroy),
        ),
        rule(Do::Destroy, DestroyScheduled, &[Destroyed], Service, Undo::Impossible),
    ]
};
