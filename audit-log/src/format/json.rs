//! Writes the few JSON shapes that a record consists of, always the same bytes for the same values.
//!
//! Not for: reading JSON, or any document whose member order does not matter (`serde_json` does
//! those).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Appends `"name":` to an object, with a comma when it is not the first member. A name is a word
/// of this program and needs no escape.
pub(crate) fn name(out: &mut Vec<u8>, member: &'static str) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a member whose value is text.
pub(crate) fn text(out: &mut Vec<u8>, member: &'static str, value: &str) {
    name(out, member);
    string(out, value);
}

/// Appends a member whose value is a number.
pub(crate) fn number(out: &mut Vec<u8>, member: &'static str, value: u64) {
    name(out, member);
    digits(out, value);
}

/// Appends a member whose value is a number that may be negative.
pub(crate) fn signed(out: &mut Vec<u8>, member: &'static str, value: i64) {
    name(out, member);
    if value < 0 {
        out.push(b'-');
    }
    digits(out, value.unsigned_abs());
}

/// Appends a member whose value is `0x` and lower-case hex.
pub(crate) fn hex(out: &mut Vec<u8>, member: &'static str, value: &[u8]) {
    name(out, member);
    out.extend_from_slice(b"\"0x");
    hex_digits(out, value);
    out.push(b'"');
}

/// Appends a member whose value is a hash, or another value of 32 bytes, as [`hash_text`].
pub(crate) fn hash(out: &mut Vec<u8>, member: &'static str, value: &[u8; 32]) {
    name(out, member);
    out.push(b'"');
    out.extend_from_slice(&hash_characters(value));
    out.push(b'"');
}

/// A value of 32 bytes in base64url without padding (RFC 4648, section 5): a third shorter than
/// hex, and each record has several.
pub(crate) fn hash_characters(value: &[u8; 32]) -> [u8; 43] {
    let mut text = [0; 43];
    // 32 bytes fit 43 characters.
    let _ = URL_SAFE_NO_PAD.encode_slice(value, &mut text);
    text
}

/// A value of 32 bytes as records spell it: base64url without padding.
pub fn hash_text(value: &[u8; 32]) -> String {
    String::from_utf8_lossy(&hash_characters(value)).into_owned()
}

/// Appends lower-case hex digits.
pub(crate) fn hex_digits(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * value.len(), 0);
    let places = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>().0;
    for (place, byte) in places.iter_mut().zip(value) {
        *place = PAIRS.get(usize::from(*byte)).copied().unwrap_or_default();
    }
}

/// The two digits of each byte: each record has two hashes and more, and verification reads them
/// all.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "of a constant, checked when it is compiled")]
        {
            pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        }
        byte += 1;
    }
    pairs
};

/// Appends a decimal number.
pub(crate) fn digits(out: &mut Vec<u8>, mut value: u64) {
    let mut text = [b'0'; 20];
    let mut first = text.len() - 1;
    for (at, place) in text.iter_mut().enumerate().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        first = at;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(first..).unwrap_or_default());
}

/// Appends a JSON string. Control characters, DEL and the Unicode line ends are escaped, so that a
/// record stays one line in every tool and cannot draw on a terminal; the rest stays UTF-8.
fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    // Without a way out of the loop the compiler looks at many bytes at once.
    let plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if value.bytes().fold(true, |all, byte| all & plain(byte)) {
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
        return;
    }
    for c in value.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.extend_from_slice(b"\\u");
                let unit = u16::try_from(u32::from(c)).unwrap_or(0xfffd);
                hex_digits(out, &unit.to_be_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_and_number_reads_back_on_one_line(value in any::<String>(), count in any::<u64>()) {
            let mut out = b"{".to_vec();
            super::text(&mut out, "a", &value);
            super::number(&mut out, "b", count);
            out.push(b'}');
            prop_assert!(!out.contains(&b'\n'));
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, serde_json::json!({"a": value, "b": count}));
        }
    }
}
