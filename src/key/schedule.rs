//! Rotation schedule of a key and the dates that follow from it. Pure.
//!
//! Not for: rotating (`rotation`).

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::eoa::Eoa;
use super::name::KeyName;
use super::version_number::KeyVersionNumber;

/// Rotation schedule of one key, or of all keys of an EOA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Days that a version is current.
    pub every_days: u32,
    /// Days before the due date on which the next version is created and announced.
    pub announce_days: u32,
    /// Days that the old version signs at least after the rotation.
    pub overlap_days: u32,
    /// Whether the service activates the next version on its due date.
    pub activate: bool,
    /// Confirmation that retires the old version.
    pub retire_on: RetireOn,
    /// Hours over which due dates are spread, so that keys do not rotate all at once.
    pub jitter_hours: u32,
}

/// Confirmation that is needed to retire a version after its overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetireOn {
    /// The operator, or the registry if `chain.rpc_url` is set.
    Confirmed,
    /// None. If the registry is read, it must not still hold the old version.
    Overlap,
}

/// Default overlap. Operator tables are refreshed weekly on mainnet; leaving a set takes 14 days.
pub const OVERLAP_DAYS: u32 = 21;

/// A shorter overlap is accepted with a warning: leaving an operator set takes this long.
pub const SHORT_OVERLAP_DAYS: u32 = 14;

/// Longest period in a schedule: ten years.
pub const MOST_DAYS: u32 = 3_653;

/// Dates of the next rotation of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationDates {
    /// The next version is created and announced.
    pub announce_at: Timestamp,
    /// The next version becomes current.
    pub due_at: Timestamp,
}

impl RetireOn {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::Confirmed, Self::Overlap];

    /// Name in the API.
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
    /// Dates that follow from the time at which a version became current.
    pub fn dates(
        &self,
        eoa: &Eoa,
        name: &KeyName,
        current: KeyVersionNumber,
        activated_at: Timestamp,
    ) -> RotationDates {
        let spread = u64::from(self.jitter_hours) * 3_600;
        let offset = if spread == 0 { 0 } else { jitter_offset(eoa, name, current) % spread };
        let due_at =
            later(later(activated_at, days(self.every_days)), SignedDuration::from_secs(offset as i64));
        RotationDates { announce_at: later(due_at, -days(self.announce_days)), due_at }
    }

    /// End of the overlap of a version that was superseded at this time.
    pub fn overlap_ends(&self, superseded_at: Timestamp) -> Timestamp {
        later(superseded_at, days(self.overlap_days))
    }
}

/// Days of 24 hours.
pub fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(count))
}

/// A sum that saturates at the largest timestamp.
pub fn later(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_add(span).unwrap_or(time)
}

/// Jitter of a version. It depends only on the arguments, so a due date does not move after a
/// restart.
fn jitter_offset(eoa: &Eoa, name: &KeyName, version: KeyVersionNumber) -> u64 {
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
            let dates = MONTHLY.dates(&eoa, &name, KeyVersionNumber::FIRST, day);
            assert_eq!(dates, MONTHLY.dates(&eoa, &name, KeyVersionNumber::FIRST, day));
            let offset = dates.due_at.as_second() - day.as_second() - 30 * 86_400;
            assert!((0..48 * 3_600).contains(&offset), "{offset}");
            assert_eq!(dates.due_at.as_second() - dates.announce_at.as_second(), 7 * 86_400);
            offsets.insert(offset);
        }
        assert!(offsets.len() > 45, "only {} different dates", offsets.len());
        let exact = Schedule { jitter_hours: 0, ..MONTHLY }.dates(
            &eoa,
            &KeyName::default(),
            KeyVersionNumber::FIRST,
            day,
        );
        assert_eq!(exact.due_at.to_string(), "2026-01-31T00:00:00Z");
    }
}
