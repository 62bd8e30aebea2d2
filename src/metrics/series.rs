//! Series of single versions of keys, which come and go; the recorder's gauges would stand for ever.
//!
//! The label is the EigenLayer operator id, the hash of the public key as the chain shows it to everybody: no name
//! and no address. Not for: sums over all keys.

use std::fmt::Write as _;

/// How many versions have a series each: the sums tell of all of them.
const MOST: usize = 256;

/// A gauge: its name, and what it is.
pub type Gauge = (&'static str, &'static str);

/// For how long the current version has been that.
pub const AGE: Gauge = ("avs_kms_key_age_seconds", "For how long a key's current version has been current.");
/// Until the next version is due.
pub const DUE: Gauge = (
    "avs_kms_key_rotation_due_seconds",
    "Until a key's next version is due by its schedule; negative when it is overdue.",
);
/// When a version signed last.
pub const LAST_SIGNATURE: Gauge = (
    "avs_kms_key_last_signature_timestamp_seconds",
    "When a version signed last since the start, in Unix time.",
);

/// One gauge in Prometheus' text form, a line for each operator id; the first 256.
pub fn text((name, help): Gauge, values: impl Iterator<Item = ([u8; 32], i64)>) -> String {
    let mut text = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (operator_id, value) in values.take(MOST) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}{{operator_id=\"0x{}\"}} {value}", hex::encode(operator_id));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_has_a_line_for_each_version_and_an_end() {
        let few = text(DUE, [([7; 32], -5), ([8; 32], 60)].into_iter());
        let seven = "07".repeat(32);
        assert!(
            few.contains(&format!("avs_kms_key_rotation_due_seconds{{operator_id=\"0x{seven}\"}} -5\n")),
            "{few}"
        );
        assert_eq!(few.lines().count(), 4);
        let many = text(AGE, (0..1_000_000).map(|n| ([0; 32], n)));
        assert_eq!(many.lines().count(), 2 + MOST);
    }
}
