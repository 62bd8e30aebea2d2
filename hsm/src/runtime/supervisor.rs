//! The thread that watches over the token: canary on a timer, and the only one that mends. Not for operations.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::recovery_request::{Notice, Remedy};
use super::state::{Shared, Status};
use crate::arena::{self, Arena, Pin};
use crate::error::OpenError;
use crate::settings::TokenSelector;
use crate::telemetry;
use crate::token::connection::{Link, Login, may_pass};

/// Pauses between two tries to get the token back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// While stopped there is nothing to wait for but the end.
const STOPPED_PAUSE: Duration = Duration::from_secs(3600);

/// See the module.
pub(crate) struct Sentinel {
    pub(crate) shared: Arc<Shared>,
    pub(crate) arena: Arena,
    pub(crate) selector: TokenSelector,
    pub(crate) pin: Pin,
    pub(crate) interval: Duration,
}

impl Sentinel {
    /// Runs until told to leave.
    pub(crate) fn run(mut self, inbox: &Receiver<Notice>) {
        arena::block_signals();
        let mut next_canary = Instant::now() + self.interval;
        let mut pause = FIRST_PAUSE;
        loop {
            let due = match self.shared.status() {
                Status::Ready(_) => next_canary,
                Status::Recovering { next_try, .. } => next_try,
                Status::Stopped { .. } => Instant::now() + STOPPED_PAUSE,
            };
            let remedy = match inbox.recv_deadline(due) {
                Ok(Notice::Leave) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Notice::Alarm(alarm)) => Some((alarm.epoch, alarm.remedy)),
                Err(RecvTimeoutError::Timeout) => None,
            };
            match (self.shared.status(), remedy) {
                (Status::Stopped { .. }, _) => {}
                (Status::Ready(link), None) => {
                    next_canary = Instant::now() + self.interval;
                    if let Err(cause) = self.check(&link) {
                        self.recover(&link, Remedy::Reinitialise, &cause, &mut pause);
                    }
                }
                // Answered already: the link is a newer one than the alarm's.
                (Status::Ready(_), Some(_)) => {}
                (Status::Recovering { last, cause, .. }, remedy) => {
                    let remedy = remedy.filter(|(epoch, _)| *epoch == last.epoch);
                    let remedy = remedy.map_or(Remedy::Reinitialise, |(_, remedy)| remedy);
                    self.recover(&last, remedy, &cause, &mut pause);
                    next_canary = Instant::now() + self.interval;
                }
            }
        }
    }

    fn check(&mut self, link: &Link) -> Result<(), String> {
        let begun = Instant::now();
        let slot = self.arena.parts().0;
        let checked =
            link.session().map_err(Into::into).and_then(|session| link.check_canary(&session, slot));
        self.shared.note_canary(checked.is_ok());
        telemetry::canary(checked.is_ok(), begun);
        checked.map_err(|error| {
            tracing::warn!(%error, "the canary failed");
            error.to_string()
        })
    }

    fn recover(&mut self, last: &Arc<Link>, remedy: Remedy, cause: &str, pause: &mut Duration) {
        let begun = Instant::now();
        let recovering =
            |next_try| Status::Recovering { last: Arc::clone(last), cause: cause.to_owned(), next_try };
        self.shared.set_status(recovering(begun));
        if remedy == Remedy::Stop {
            return self.stop(cause.to_owned());
        }
        match self.mend(last, remedy) {
            Ok(link) => {
                let (epoch, took) = (link.epoch, begun.elapsed());
                tracing::info!(epoch, ?took, "the token is back");
                *pause = FIRST_PAUSE;
                self.shared.note_canary(true);
                self.shared.recoveries.fetch_add(1, Ordering::Relaxed);
                self.shared.set_status(Status::Ready(Arc::new(link)));
            }
            Err(error) if may_pass(&error) => {
                let wait = jittered(*pause);
                tracing::warn!(error = &error as &dyn std::error::Error, ?wait, "the token is not back yet");
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                self.shared.note_canary(false);
                self.shared.set_status(recovering(Instant::now() + wait));
            }
            Err(error) => self.stop(error.to_string()),
        }
    }

    fn stop(&self, cause: String) {
        tracing::error!(cause, "the token is given up; an operator must act and restart the service");
        self.shared.set_status(Status::Stopped { cause });
    }

    fn mend(&mut self, last: &Link, remedy: Remedy) -> Result<Link, OpenError> {
        let (slot, _) = self.arena.parts();
        let epoch = last.epoch + 1;
        if remedy == Remedy::LogIn {
            match last.renew(&self.pin).and_then(|login| login.link(epoch, slot)) {
                Ok(link) => return Ok(link),
                Err(error) if !may_pass(&error) => return Err(error),
                Err(error) => tracing::info!(%error, "logging in again was not enough"),
            }
        }
        last.disconnect();
        let serial = Some(last.token.serial.as_str());
        Login::new(&last.library, &self.selector, serial, &self.pin)?.link(epoch, slot)
    }
}

/// Between the whole pause and half of it, so that several services do not knock at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte); // without it the pause is half
    pause / 2 + pause.mul_f64(f64::from(byte[0]) / 512.0)
}
