//! Cursors of lists whose items have no number: the place of the last item, so that a page is stable while items come
//! and go.

use jiff::Timestamp;

use super::invalid_value::InvalidValue;
use super::text::{name_pattern, request_text};
use crate::auth::AccessTokenId;
use crate::key::{Eoa, KeyName, KeyVersion, KeyVersionNumber};

request_text! {
    /// Where the page before ended: its `next`.
    KeyCursor((KeyName, KeyVersionNumber)) = concat!("^", name_pattern!(), "/[1-9][0-9]{0,8}$"), Some("default/1"), |text| {
        version_in(text).ok_or_else(malformed)
    };

    /// Where the page before ended: its `next`.
    AllKeysCursor((Eoa, KeyName, KeyVersionNumber)) = concat!("^0x[0-9a-fA-F]{40}/", name_pattern!(), "/[1-9][0-9]{0,8}$"), None, |text| {
        let (eoa, rest) = text.split_once('/').ok_or_else(malformed)?;
        let (name, version) = version_in(rest).ok_or_else(malformed)?;
        Ok((eoa.parse().map_err(|_| malformed())?, name, version))
    };

    /// Where the page before ended: its `next`.
    AccessTokenCursor((Timestamp, AccessTokenId)) = "^[0-9]{1,12}/tok_[0-9a-f]{12}$", None, |text| {
        let (second, id) = text.split_once('/').ok_or_else(malformed)?;
        let second = decimal(second).and_then(|second| Timestamp::from_second(second).ok());
        Ok((second.ok_or_else(malformed)?, id.parse().map_err(|_| malformed())?))
    };
}

fn malformed() -> InvalidValue {
    InvalidValue::request("expected the member `next` of the page before")
}

fn version_in(text: &str) -> Option<(KeyName, KeyVersionNumber)> {
    let (name, version) = text.split_once('/')?;
    let plain = (1..=9).contains(&version.len()) && !version.starts_with('0');
    let version = u32::try_from(decimal(version).filter(|_| plain)?).ok()?;
    Some((name.parse().ok()?, KeyVersionNumber::new(version)?))
}

/// Digits alone: `parse` takes a sign, too.
fn decimal(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The cursor behind a version in the list of one EOA.
pub(crate) fn of_key(version: &KeyVersion) -> String {
    format!("{}/{}", version.name, version.version)
}

/// The cursor behind a version in the list of every EOA.
pub(crate) fn of_any_key(version: &KeyVersion) -> String {
    format!("{}/{}", version.eoa, of_key(version))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use serde_json::json;

    use super::*;

    fn is_cursor<T: serde::de::DeserializeOwned>(text: &str) -> bool {
        serde_json::from_value::<T>(json!(text)).is_ok()
    }

    #[test]
    fn a_cursor_is_what_a_page_gave_and_nothing_else() {
        const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        for text in ["default/1", "a.b-c_d/999999999"] {
            assert!(is_cursor::<KeyCursor>(text), "{text}");
            assert!(is_cursor::<AllKeysCursor>(&format!("{EOA}/{text}")), "{text}");
        }
        for text in [
            "",
            "/",
            "default",
            "default/",
            "/1",
            "default/0",
            "default/-1",
            "default/+1",
            "default/1/",
            "default/ 1",
            "default/01",
            "default/1000000000",
            "A/1",
            "../1",
            "default/1\u{0}",
            "default/99999999999999999999",
        ] {
            assert!(!is_cursor::<KeyCursor>(text), "{text}");
            assert!(!is_cursor::<AllKeysCursor>(&format!("{EOA}/{text}")), "{text}");
        }
        assert!(!is_cursor::<AllKeysCursor>("default/1"));
        assert!(is_cursor::<AccessTokenCursor>("1764500000/tok_0123456789ab"));
        for text in
            ["1764500000", "x/tok_0123456789ab", "-1/tok_0123456789ab", "999999999999999/tok_0123456789ab"]
        {
            assert!(!is_cursor::<AccessTokenCursor>(text), "{text}");
        }
    }
}
