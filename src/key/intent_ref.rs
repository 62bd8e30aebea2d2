//! Reference to the audit record that asked for something: a row of the store that names one needs that record.
//!
//! Not for: the record itself (`audit_log`).

/// Length of [`IntentRef::to_bytes`].
const LEN: usize = 16 + 8 + 32;

/// An intent in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentRef {
    /// Id of the log.
    pub log: [u8; 16],
    /// Number of the record.
    pub record: u64,
    /// Hash of the record.
    pub hash: [u8; 32],
}

impl IntentRef {
    /// Log, number (big-endian), hash.
    pub fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let parts = [self.log.as_slice(), &self.record.to_be_bytes(), &self.hash].concat();
        bytes.copy_from_slice(&parts);
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (log, rest) = bytes.split_first_chunk()?;
        let (record, hash) = rest.split_first_chunk()?;
        Some(Self { log: *log, record: u64::from_be_bytes(*record), hash: hash.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_no_other_length() {
        let intent = IntentRef { log: [1; 16], record: u64::MAX - 7, hash: [3; 32] };
        let bytes = intent.to_bytes();
        assert_eq!(IntentRef::from_bytes(&bytes), Some(intent));
        for length in 0..LEN {
            assert_eq!(bytes.get(..length).and_then(IntentRef::from_bytes), None, "{length}");
        }
        assert_eq!(IntentRef::from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
    }
}
