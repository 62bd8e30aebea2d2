//! Budget of the records of refusals and of reads: some of each minute are recorded one by one, the others are counted.
//!
//! Without it a client writes the audit log at the speed of its network. Callers that are known here
//! have a budget each; unknown ones share one, because an EOA is free to make. Counts of a minute that a crash cuts off are
//! lost. Not for: what is recorded of a permitted operation that uses or changes something.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::key::Eoa;
use crate::service::error_code::ErrorCode;

/// The time for which a budget lasts.
pub(in crate::service) const WINDOW: Duration = Duration::from_secs(60);

/// Refusals of one known EOA, and of all unknown clients together, that get a record of their own in a window; and as
/// many reads.
const RECORDED: u32 = 30;

/// The most counts that are kept apart; further ones are counted without the EOA.
const MOST_COUNTS: usize = 1_024;

/// What is counted as one: the caller if it is known here, the operation, the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::service) struct RefusalKind {
    pub(in crate::service) eoa: Option<Eoa>,
    pub(in crate::service) operation: &'static str,
    /// None of a permitted read.
    pub(in crate::service) code: Option<ErrorCode>,
}

/// The budget of the window and what was counted beyond it.
#[derive(Debug)]
pub(in crate::service) struct RefusalBudget(Mutex<Window>);

#[derive(Debug)]
struct Window {
    begun: Instant,
    recorded: HashMap<(Option<Eoa>, bool), u32>,
    counted: HashMap<RefusalKind, u64>,
}

impl Window {
    fn new(begun: Instant) -> Self {
        Self { begun, recorded: HashMap::new(), counted: HashMap::new() }
    }
}

impl RefusalBudget {
    pub(in crate::service) fn new() -> Self {
        Self(Mutex::new(Window::new(Instant::now())))
    }

    /// Whether a refusal gets a record of its own; it is counted if it gets none.
    pub(in crate::service) fn admits(&self, kind: RefusalKind) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = window.recorded.entry((kind.eoa, kind.code.is_none())).or_default();
        if *recorded < RECORDED {
            *recorded += 1;
            return true;
        }
        let known = window.counted.contains_key(&kind) || window.counted.len() < MOST_COUNTS;
        let kind = if known { kind } else { RefusalKind { eoa: None, ..kind } };
        let count = window.counted.entry(kind).or_default();
        *count = count.saturating_add(1);
        false
    }

    /// The counts of a window that has ended at `now`, or in any case with `anyway`; the next window begins.
    pub(in crate::service) fn take(&self, now: Instant, anyway: bool) -> Vec<(RefusalKind, u64)> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !anyway && now.saturating_duration_since(window.begun) < WINDOW {
            return Vec::new();
        }
        std::mem::replace(&mut *window, Window::new(now)).counted.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_clients_share_one_budget_a_known_eoa_has_its_own_and_the_rest_is_counted() {
        let budget = RefusalBudget::new();
        let kind = |eoa| RefusalKind { eoa, operation: "keys.list", code: Some(ErrorCode::Forbidden) };
        let known = Some(Eoa::new([1; 20]));
        assert_eq!((0..1_000).filter(|_| budget.admits(kind(None))).count(), RECORDED as usize);
        assert_eq!((0..70).filter(|_| budget.admits(kind(known))).count(), RECORDED as usize);
        assert!(budget.take(Instant::now(), false).is_empty(), "the window has not ended");
        let read = RefusalKind { code: None, ..kind(known) };
        assert!((0..RECORDED).all(|_| budget.admits(read)), "reads have a budget of their own");
        let mut counts = budget.take(Instant::now() + WINDOW, false);
        counts.sort_by_key(|(_, count)| *count);
        assert_eq!(counts, [(kind(known), 40), (kind(None), 970)]);
        assert!(budget.admits(kind(None)), "the next window has a budget of its own");
        assert!(budget.take(Instant::now(), true).is_empty());
    }

    #[test]
    fn the_memory_is_bounded_however_many_eoas_are_refused() {
        let budget = RefusalBudget::new();
        let mut refused = 0_u64;
        for number in 0..2_000_u16 {
            let [high, low] = number.to_be_bytes();
            let mut bytes = [0; 20];
            (bytes[0], bytes[1]) = (high, low);
            let kind = RefusalKind {
                eoa: Some(Eoa::new(bytes)),
                operation: "keys.list",
                code: Some(ErrorCode::Forbidden),
            };
            refused += (0..=RECORDED).filter(|_| !budget.admits(kind)).count() as u64;
        }
        let counts = budget.take(Instant::now(), true);
        assert!(counts.len() <= MOST_COUNTS + 1, "{}", counts.len());
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), refused);
    }
}
