//! Externally owned account: the owner of keys.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;
use thiserror::Error;

/// An Ethereum address: 20 bytes. Shown in EIP-55 form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Eoa([u8; 20]);

/// Error of parsing an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The text is not 40 hex digits with or without `0x`.
    #[error("an address is 0x and 40 hex digits")]
    Form,
    /// The letter case is mixed and the EIP-55 checksum is wrong.
    #[error("the address has mixed letter case but its EIP-55 checksum is wrong")]
    Checksum,
}

thread_local! {
    /// The address that this thread formatted last: a checksum costs one keccak, and a request
    /// formats its account often.
    static LAST: Cell<Option<([u8; 20], [u8; 42])>> = const { Cell::new(None) };
}

impl Eoa {
    /// The address with these bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for Eoa {
    type Err = AddressError;

    /// Accepts any letter case and an optional `0x`. Mixed case must have a valid EIP-55 checksum.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| AddressError::Form)?;
        let eoa = Self(bytes);
        let mixed = digits.contains(|c: char| c.is_ascii_lowercase())
            && digits.contains(|c: char| c.is_ascii_uppercase());
        if mixed && eoa.to_string().strip_prefix("0x") != Some(digits) {
            return Err(AddressError::Checksum);
        }
        Ok(eoa)
    }
}

impl fmt::Display for Eoa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match LAST.get() {
            Some((bytes, text)) if bytes == self.0 => text,
            Some(_) | None => {
                let mut text = [0; 42];
                let _ = Address::from(self.0).to_checksum_raw(&mut text, None);
                LAST.set(Some((self.0, text)));
                text
            }
        };
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Eoa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    // From the test cases of EIP-55 itself.
    const CHECKSUMMED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    #[test]
    fn each_address_keeps_its_text_when_several_are_shown_in_turn() {
        let (one, other): (Eoa, Eoa) = (CHECKSUMMED.parse().unwrap(), Eoa::new([0; 20]));
        for _ in 0..2 {
            assert_eq!(one.to_string(), CHECKSUMMED);
            assert_eq!(other.to_string(), "0x0000000000000000000000000000000000000000");
        }
    }

    #[test]
    fn any_letter_case_and_a_missing_prefix_are_taken() {
        let eoa: Eoa = CHECKSUMMED.parse().unwrap();
        let digits = CHECKSUMMED.strip_prefix("0x").unwrap();
        for text in [digits.to_lowercase(), digits.to_uppercase(), digits.to_owned()] {
            assert_eq!(text.parse(), Ok(eoa));
            assert_eq!(format!("0x{text}").parse(), Ok(eoa));
        }
        assert_eq!(eoa.to_string(), CHECKSUMMED);
    }

    #[test]
    fn a_mixed_case_address_with_one_letter_flipped_is_refused() {
        let flipped = CHECKSUMMED.replacen('A', "a", 1);
        assert_eq!(flipped.parse::<Eoa>(), Err(AddressError::Checksum));
    }

    #[test]
    fn what_is_not_forty_hex_digits_is_refused() {
        for text in ["", "0x", "0x12", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00", "0xzz", "0x０", "0x0x"]
        {
            assert_eq!(text.parse::<Eoa>(), Err(AddressError::Form), "{text}");
        }
        assert_eq!(format!(" {CHECKSUMMED}").parse::<Eoa>(), Err(AddressError::Form));
    }
}
