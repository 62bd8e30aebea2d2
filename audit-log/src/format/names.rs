//! Names of the files in the directory of a log.

/// The newest signed checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Extension of the signed checkpoint of one completed segment, beside it.
pub(crate) const SEGMENT_CHECKPOINT: &str = "checkpoint";
/// The changes of the checkpoint key, one JSON string in a line each.
pub(crate) const KEY_CHANGES: &str = "key-changes";
/// The stored Merkle hashes.
pub(crate) const HASHES: &str = "hashes";
/// The number of the next record for the JSON lines file.
pub(crate) const MIRRORED: &str = "mirrored";
/// The prepared next segment. It holds no records and is discarded at each start.
pub(crate) const PREPARED: &str = "next-segment";
/// Begins the names of files that are not part of a log yet.
pub(crate) const PREPARED_PREFIX: &str = "next-";
const COMPRESSED: &str = ".zst";

/// The segment whose first record has that number.
pub(crate) fn segment(first: u64) -> String {
    format!("seg-{first:020}.log")
}

/// The number in a segment's name, if it is one.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("seg-")?.strip_suffix(".log")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The compressed form of that segment.
pub(crate) fn compressed(first: u64) -> String {
    segment(first) + COMPRESSED
}

/// The number in the name of a segment, compressed or not.
pub(crate) fn any_first_of(name: &str) -> Option<u64> {
    first_of(name.strip_suffix(COMPRESSED).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_segment_with_twenty_digits_has_a_number() {
        assert_eq!(first_of(&segment(11)), Some(11));
        assert_eq!(any_first_of(&compressed(11)), Some(11));
        assert_eq!(first_of("seg-11.log"), None);
    }
}
