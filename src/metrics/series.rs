//! Gauges of single key versions, written directly in the Prometheus text format.
//!
//! Versions come and go, but the recorder never drops a gauge. Its idle timeout is no help: it applies to all gauges,
//! so it would also drop those that are set once or seldom. The label is the EigenLayer operator id, which is public on
//! the chain; never a name or an address. Not for: totals over all keys.

use std::fmt::Write as _;

/// Largest number of versions with a series each; the totals count all of them.
const MAX_SERIES: usize = 256;

/// Name and help text of a gauge.
pub type Gauge = (&'static str, &'static str);

/// Age of the active version since its activation.
pub const AGE: Gauge = ("avs_kms_key_age_seconds", "Age of a key's active version since its activation.");
/// Time until the next scheduled version.
pub const DUE: Gauge = (
    "avs_kms_key_rotation_due_seconds",
    "Time until a key's next scheduled rotation; negative when overdue.",
);
/// Time of the last signature of a version.
pub const LAST_SIGNATURE: Gauge = (
    "avs_kms_key_last_signature_timestamp_seconds",
    "Time of a version's last signature since the start of the process, Unix seconds.",
);

/// One gauge in the Prometheus text format: one line for each of the first [`MAX_SERIES`] operator ids.
pub fn text((name, help): Gauge, values: impl Iterator<Item = ([u8; 32], i64)>) -> String {
    let mut text = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (operator_id, value) in values.take(MAX_SERIES) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name}{{operator_id=\"0x{}\"}} {value}", hex::encode(operator_id));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_has_one_line_for_each_version_up_to_the_limit() {
        let few = text(DUE, [([7; 32], -5), ([8; 32], 60)].into_iter());
        let seven = "07".repeat(32);
        assert!(
            few.contains(&format!("avs_kms_key_rotation_due_seconds{{operator_id=\"0x{seven}\"}} -5\n")),
            "{few}"
        );
        assert_eq!(few.lines().count(), 4);
        let many = text(AGE, (0..1_000_000).map(|n| ([0; 32], n)));
        assert_eq!(many.lines().count(), 2 + MAX_SERIES);
    }
}
