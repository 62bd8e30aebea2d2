//! When a key is to be rotated: [`Schedule`] and the dates that follow from it. Pure.
//!
//! Not for: doing it (`rotation`).

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Eoa, KeyName, Version};

/// How the keys of an EOA, or one of them, are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// A version is current for so many days.
    pub every_days: u32,
    /// The next version is made and announced so many days before.
    pub announce_days: u32,
    /// The old version goes on signing for at least so many days.
    pub overlap_days: u32,
    /// Whether the next version becomes current by itself when it is due.
    pub activate: bool,
    /// Whose word retires the old version.
    pub retire_on: RetireOn,
    /// Due dates are spread over so many hours, so that not all keys rotate at once.
    pub jitter_hours: u32,
}

/// Whose word it takes to retire a version whose overlap is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetireOn {
    /// The operator's or the chain's.
    Confirmed,
    /// Nobody's; where the chain is followed it must not contradict.
    Overlap,
}

/// The default overlap: tables are refreshed weekly on mainnet, leaving a set takes 14 days.
pub const OVERLAP_DAYS: u32 = 21;

/// A shorter overlap is taken, with a warning: it is less than a set takes to be left.
pub const SHORT_OVERLAP_DAYS: u32 = 14;

/// The longest time that a schedule may name, ten years.
pub const MOST_DAYS: u32 = 3_653;

/// When the next rotation of a key comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// From here on the next version is made and announced.
    pub announce_at: Timestamp,
    /// Here the next version is to be current.
    pub due_at: Timestamp,
}

impl RetireOn {
    /// Its word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Overlap => "overlap",
        }
    }
}

impl std::str::FromStr for RetireOn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "confirmed" => Ok(Self::Confirmed),
            "overlap" => Ok(Self::Overlap),
            _ => Err("retire_on is \"confirmed\" or \"overlap\""),
        }
    }
}

impl Schedule {
    /// The dates that follow from the day on which a version became current.
    pub fn dates(&self, eoa: &Eoa, name: &KeyName, current: Version, activated_at: Timestamp) -> Dates {
        let spread = u64::from(self.jitter_hours) * 3_600;
        let offset = if spread == 0 { 0 } else { lot(eoa, name, current) % spread };
        let due_at =
            later(later(activated_at, days(self.every_days)), SignedDuration::from_secs(offset as i64));
        Dates { announce_at: later(due_at, -days(self.announce_days)), due_at }
    }

    /// When the overlap of a version that ceased to be current at this time is over.
    pub fn overlap_ends(&self, superseded_at: Timestamp) -> Timestamp {
        later(superseded_at, days(self.overlap_days))
    }
}

/// So many days of 24 hours.
pub fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(count))
}

/// A sum that stays within the times that there are.
pub fn later(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_add(span).unwrap_or(time)
}

/// The same for the same version on every machine and at every start: a date does not move.
fn lot(eoa: &Eoa, name: &KeyName, version: Version) -> u64 {
    let mut hash = Sha256::new_with_prefix(eoa.as_bytes());
    hash.update(name.as_str());
    hash.update(version.number().to_be_bytes());
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

    use super::*;

    const MONTHLY: Schedule = Schedule {
        every_days: 30,
        announce_days: 7,
        overlap_days: 21,
        activate: true,
        retire_on: RetireOn::Overlap,
        jitter_hours: 48,
    };

    #[test]
    fn dates_are_spread_over_the_jitter_and_never_move() {
        let day: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (eoa, mut offsets) = (Eoa::new([1; 20]), std::collections::HashSet::new());
        for n in 0..50 {
            let name: KeyName = format!("k{n}").parse().unwrap();
            let dates = MONTHLY.dates(&eoa, &name, Version::FIRST, day);
            assert_eq!(dates, MONTHLY.dates(&eoa, &name, Version::FIRST, day));
            let offset = dates.due_at.as_second() - day.as_second() - 30 * 86_400;
            assert!((0..48 * 3_600).contains(&offset), "{offset}");
            assert_eq!(dates.due_at.as_second() - dates.announce_at.as_second(), 7 * 86_400);
            offsets.insert(offset);
        }
        assert!(offsets.len() > 45, "only {} different dates", offsets.len());
        let exact =
            Schedule { jitter_hours: 0, ..MONTHLY }.dates(&eoa, &KeyName::default(), Version::FIRST, day);
        assert_eq!(exact.due_at.to_string(), "2026-01-31T00:00:00Z");
    }
}
