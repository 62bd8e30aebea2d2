//! Budget of log lines about refused requests: some of each minute are written, the others are counted.
//!
//! Without it a client without credentials writes the log at the speed of its network.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// Lines of one minute.
const LINES: u32 = 60;

/// The lines of a minute, and how many were not written.
#[derive(Debug)]
pub(crate) struct LogBudget(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    begun: Instant,
    written: u32,
    suppressed: u64,
}

/// Whether to write a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes; this many of the window before were not written.
    Write {
        /// The number of lines.
        suppressed: u64,
    },
    /// No; it is counted.
    Suppress,
}

impl LogBudget {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes a line of the budget.
    pub(crate) fn take(&self, now: Instant) -> Verdict {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut suppressed = 0;
        if window.as_ref().is_none_or(|window| now.saturating_duration_since(window.begun) >= WINDOW) {
            suppressed = window.as_ref().map_or(0, |window| window.suppressed);
            *window = Some(Window { begun: now, written: 0, suppressed: 0 });
        }
        match window.as_mut() {
            Some(window) if window.written < LINES => {
                window.written += 1;
                Verdict::Write { suppressed }
            }
            Some(window) => {
                window.suppressed = window.suppressed.saturating_add(1);
                Verdict::Suppress
            }
            None => Verdict::Suppress,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_lines_and_the_next_one_says_how_many_were_left_out() {
        let (budget, now) = (LogBudget::new(), Instant::now());
        let written = (0..1_000).filter(|_| budget.take(now) != Verdict::Suppress).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(budget.take(now + WINDOW), Verdict::Write { suppressed: 1_000 - u64::from(LINES) });
        assert_eq!(budget.take(now + WINDOW), Verdict::Write { suppressed: 0 });
    }
}
