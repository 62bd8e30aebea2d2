//! Lease: a data object of the token that names the one process that uses it, so that a copy of the installation does
//! not sign beside it. Written at the start, removed at a clean stop, only read in between.
//!
//! A process that finds the lease of another writes its own beside it and waits. A living holder looks every few seconds
//! and removes it; where it stays, the other has ended. Not for tokens without data objects, nor SoftHSM (`keys::lock`), nor against holders of
//! the PIN: they can write and remove leases.

mod claim;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::error::RvError;
use cryptoki::object::ObjectHandle;

pub(crate) use claim::Claim;

use crate::error::OpenError;
use crate::health::TakeOver;
use crate::labels::LEASE_LABEL;
use crate::pkcs11::{Function, Session, TOKEN_RESOURCE_EXCEEDED, TokenError};
use crate::settings::LeaseSettings;
use crate::wrap::{Template, data_value, find_data};

/// How often a process that waits looks whether it was refused.
const LOOKS_WHILE_WAITING: u32 = 10;

/// The lease of this process.
pub(crate) struct Lease {
    own: Claim,
    /// Whether it is in the token: one that is full has no space for it.
    is_written: bool,
    /// A look that began earlier proves nothing: a process that waited since then may have taken over.
    good_for: Duration,
    /// How often the supervisor looks.
    pub(crate) interval: Duration,
    seen: Mutex<Seen>,
}

/// What the last look saw.
struct Seen {
    /// When that look began, which found this lease.
    at: Instant,
    /// The object, as the connection of this epoch numbers it.
    object: Option<(u64, ObjectHandle)>,
}

/// Whose the token is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Held,
    /// Why not, and what to do.
    Lost(String),
}

impl Lease {
    /// Takes the token for this process, or refuses. Blocks for as long as a holder may take to answer, unless the holder
    /// had the lock file that this process holds now.
    pub(crate) fn acquire(
        session: &Session,
        template: &Template,
        settings: &LeaseSettings,
        own: Claim,
    ) -> Result<(Self, TakeOver), OpenError> {
        let is_over = |claim: &Claim| claim.has_ended(&own.boot, own.lock);
        let (ended, others): (Vec<_>, Vec<_>) =
            read(session)?.into_iter().partition(|(_, claim)| claim.as_ref().is_some_and(is_over));
        if !settings.take_over {
            refuse_foreign(&others, &own)?;
        }
        // First, so that a full token has space for the next. Dead either way, if this process dies here.
        destroy(session, &ended)?;
        let mut lease = Self {
            own,
            is_written: true,
            // Two seconds for a call that is out when the other takes over.
            good_for: settings.patience.saturating_sub(Duration::from_secs(2)),
            interval: settings.interval,
            seen: Mutex::new(Seen { at: Instant::now(), object: None }),
        };
        match template.create(session, LEASE_LABEL, &lease.own.encode()) {
            Ok(_) => {}
            Err(error) if has_no_space(error) && others.is_empty() => {
                tracing::warn!(
                    %error,
                    "the token has no space for a lease: a second service that uses it is noticed late; delete keys that \
                     are not needed, or raise the token's limit, and restart"
                );
                lease.is_written = false;
            }
            Err(error) => return Err(error.into()),
        }
        let mut taken = TakeOver::default();
        // Read again: of two that start at once, at least one sees both.
        if lease.is_written && read(session)?.len() > 1 {
            taken = lease.challenge(session, settings, others)?;
        }
        match lease.look(session, 0)? {
            Standing::Held => Ok((lease, taken)),
            Standing::Lost(_) => Err(lease.refused(&read(session)?)),
        }
    }

    /// Waits beside the leases of others, and removes those that are still there afterwards.
    fn challenge(
        &self,
        session: &Session,
        settings: &LeaseSettings,
        others: Vec<(ObjectHandle, Option<Claim>)>,
    ) -> Result<TakeOver, OpenError> {
        if settings.take_over {
            destroy(session, &others)?;
        }
        // Two that wait for the same holder end at different times, so that one finds the other.
        let wait = settings.patience + settings.patience.mul_f64(f64::from(self.own.process[0]) / 2048.0);
        for holder in others.iter().map(|(_, claim)| describe(claim.as_ref())) {
            tracing::warn!(
                holder,
                seconds = wait.as_secs_f64(),
                "another process holds the token; waiting for its answer"
            );
        }
        let end = Instant::now() + wait;
        let mut left = others.clone();
        while Instant::now() < end {
            std::thread::sleep(wait / LOOKS_WHILE_WAITING);
            left = read(session)?;
            if !left.iter().any(|(_, claim)| claim.as_ref() == Some(&self.own)) {
                return Err(self.refused(&others));
            }
        }
        left.retain(|(_, claim)| claim.as_ref() != Some(&self.own));
        if !settings.take_over
            && let Err(refused) = refuse_foreign(&left, &self.own)
        {
            self.release(session)?;
            return Err(refused);
        }
        destroy(session, &left)?;
        let ended = if settings.take_over { others } else { left };
        let holders: Vec<_> = ended.iter().map(|(_, claim)| describe(claim.as_ref())).collect();
        tracing::warn!(holders = holders.join(", "), "the token was taken over");
        Ok(TakeOver { holders, is_asked: !settings.take_over })
    }

    /// A living process removed this lease.
    fn refused(&self, others: &[(ObjectHandle, Option<Claim>)]) -> OpenError {
        let other = others.iter().find(|(_, claim)| claim.as_ref() != Some(&self.own));
        let holder = other.map_or_else(|| describe(None), |(_, claim)| describe(claim.as_ref()));
        OpenError::TokenInUse { holder }
    }

    /// Whether this process still holds the token. Removes what others of this installation wrote beside its lease.
    pub(crate) fn look(&self, session: &Session, epoch: u64) -> Result<Standing, TokenError> {
        let at = Instant::now();
        let found = find_data(session, LEASE_LABEL)?;
        // Another lease has another number while this one is there, so its value need not be read.
        if let [only] = found[..]
            && self.seen().object == Some((epoch, only))
        {
            self.seen().at = at;
            return Ok(Standing::Held);
        }
        let (own, others): (Vec<_>, Vec<_>) =
            read(session)?.into_iter().partition(|(_, claim)| claim.as_ref() == Some(&self.own));
        let is_held = !own.is_empty() || (!self.is_written && others.is_empty());
        if !is_held || refuse_foreign(&others, &self.own).is_err() {
            return Ok(Standing::Lost(lost(&others)));
        }
        for (_, claim) in &others {
            tracing::warn!(
                process = describe(claim.as_ref()),
                "another process wants the token that this one uses; it is refused"
            );
        }
        destroy(session, &others)?;
        *self.seen() = Seen { at, object: own.first().map(|(object, _)| (epoch, *object)) };
        Ok(Standing::Held)
    }

    /// Whether the last look is new enough to sign a checkpoint.
    pub(crate) fn is_fresh(&self) -> bool {
        self.seen().at.elapsed() < self.good_for
    }

    /// Removes this lease: the next start waits for nothing.
    pub(crate) fn release(&self, session: &Session) -> Result<(), TokenError> {
        let mut own = read(session)?;
        own.retain(|(_, claim)| claim.as_ref() == Some(&self.own));
        destroy(session, &own)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of this boot; empty where the kernel tells none, and then no earlier process is known to have ended.
pub(crate) fn boot_id(settings: &LeaseSettings) -> String {
    let read = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    settings.boot.clone().unwrap_or_else(|| read().trim().to_owned())
}

/// Every lease that the token holds; without a claim where it cannot be read.
pub(crate) fn read(session: &Session) -> Result<Vec<(ObjectHandle, Option<Claim>)>, TokenError> {
    let mut leases = Vec::new();
    for object in find_data(session, LEASE_LABEL)? {
        match data_value(session, object) {
            Ok(value) => leases.push((object, Claim::parse(&value))),
            // Removed by another process since.
            Err(error) if error.is_unknown_handle() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(leases)
}

fn destroy(session: &Session, leases: &[(ObjectHandle, Option<Claim>)]) -> Result<(), TokenError> {
    leases.iter().try_for_each(|(object, _)| match session.destroy(*object) {
        Err(error) if error.is_unknown_handle() => Ok(()),
        destroyed => destroyed,
    })
}

/// A service of another installation is not asked: it does not know this one.
fn refuse_foreign(leases: &[(ObjectHandle, Option<Claim>)], own: &Claim) -> Result<(), OpenError> {
    let claims = leases.iter().filter_map(|(_, claim)| claim.as_ref());
    let foreign = claims.into_iter().find(|claim| claim.installation != own.installation);
    foreign.map_or(Ok(()), |claim| Err(OpenError::TokenOfOtherInstallation { holder: claim.to_string() }))
}

fn lost(others: &[(ObjectHandle, Option<Claim>)]) -> String {
    let now = match others {
        [] => "someone removed it".to_owned(),
        [(_, claim), ..] => format!("{} has it now", describe(claim.as_ref())),
    };
    format!(
        "this process has lost its lease of the token: {now}. One process at a time may use a token: stop the one that is \
         not wanted, then restart this one"
    )
}

pub(crate) fn describe(claim: Option<&Claim>) -> String {
    claim.map_or_else(|| "an unknown process (its lease cannot be read)".to_owned(), ToString::to_string)
}

fn has_no_space(error: TokenError) -> bool {
    error.function == Function::CreateObject
        && matches!(
            error.code(),
            Some(RvError::DeviceMemory | RvError::TokenWriteProtected | TOKEN_RESOURCE_EXCEEDED)
        )
}
