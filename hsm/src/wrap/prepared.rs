//! Key-encryption keys that the administrator of the HSM made: what they are called in records, and what may be asked of
//! them. Not for finding them: `kek`.

use sha2::{Digest, Sha256};

/// What the administrator should make.
pub(super) const WANTED: &str = "let the HSM's administrator make another: private, sensitive, never extractable; \
    AES-256 that encrypts and decrypts, a generic secret of 32 bytes that signs, or RSA with 3072 bits that decrypts; \
    nothing else allowed";

/// Sixteen bytes that name the key in records: of its label and its `CKA_ID`, which may be absent or of any length.
///
/// Another key under the label with another `CKA_ID` is noticed by it; one with the same, by the canary record.
pub(super) fn id(label: &str, cka_id: &[u8]) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix("avs-kms/prepared-kek/1");
    for part in [label.as_bytes(), cka_id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    id.iter_mut().zip(hash.finalize()).for_each(|(place, byte)| *place = byte);
    id
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn an_id_follows_from_label_and_cka_id_and_from_both() {
        let all = [id("kek", b""), id("kek", b"\0"), id("kek", &[7; 16]), id("ke", b"k"), id("", b"kek")];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
        // Records name the key by it: it never changes.
        assert_eq!(hex::encode(id("kek", b"")), "b81c1d38b33e6828891b405804443f5d");
    }
}
