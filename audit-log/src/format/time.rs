//! Times: when something happened, and how that is written.

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordTime {
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) wall_ns: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) mono_ns: u64,
}

impl RecordTime {
    /// Now.
    pub(crate) fn now() -> Self {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
            seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
        };
        Self {
            wall_ns: read(rustix::time::ClockId::Realtime),
            mono_ns: read(rustix::time::ClockId::Monotonic),
        }
    }
}

/// The time of a record as text, for comparing.
pub(crate) fn time_text(unix_seconds: u64) -> String {
    let mut out = Vec::new();
    write(&mut out, unix_seconds.saturating_mul(1_000_000_000));
    String::from_utf8(out).unwrap_or_default()
}

/// RFC 3339 in UTC with six decimals, by the days-to-civil algorithm of the proleptic Gregorian
/// calendar.
pub(crate) fn write(out: &mut Vec<u8>, wall_ns: u64) {
    let (seconds, nanos) = (wall_ns / 1_000_000_000, wall_ns % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, split into 400-year eras; the year starts in March so that the leap
    // day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    padded(out, year, 4);
    for (separator, value, width) in [
        (b'-', month, 2),
        (b'-', day, 2),
        (b'T', second / 3600, 2),
        (b':', second / 60 % 60, 2),
        (b':', second % 60, 2),
        (b'.', nanos / 1000, 6),
    ] {
        out.push(separator);
        padded(out, value, width);
    }
    out.push(b'Z');
}

fn padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out.get_mut(start..).unwrap_or_default().iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
}
