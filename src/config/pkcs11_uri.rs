//! PKCS#11 URIs (RFC 7512) that name a token. Not for objects, PINs and modules: other settings name those.

use crate::request_text::is_visible;

/// Characters that stand for themselves in a value, beside letters and digits (RFC 7512, section 2.3).
const PLAIN: &[u8] = b"-._~:[]@!$'()*+,=&";

/// How the token is found: everything that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members have the names of RFC 7512")]
pub struct TokenSelector {
    pub label: Option<String>,
    pub serial: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub slot: Option<u64>,
}

/// The token that a URI names, or why it names none.
pub(super) fn parse(text: &str) -> Result<TokenSelector, String> {
    let rest = text.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("pkcs11"));
    let (_, rest) = rest.ok_or("it does not begin with `pkcs11:`")?;
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    if let Some(query) = query {
        return Err(refused_query(query.split(['=', '&']).next().unwrap_or_default()));
    }
    let mut named = TokenSelector::default();
    for attribute in path.split(';') {
        let (name, value) = attribute.split_once('=').ok_or("each part must be `name=value`")?;
        let place = match name {
            "token" => (&mut named.label, 32),
            "serial" => (&mut named.serial, 16),
            "manufacturer" => (&mut named.manufacturer, 32),
            "model" => (&mut named.model, 16),
            "slot-id" => {
                let slot = value.parse().map_err(|_| "`slot-id` is not a whole number".to_owned())?;
                twice(name, named.slot.replace(slot).is_some())?;
                continue;
            }
            other => return Err(refused_path(other)),
        };
        let (place, longest) = place;
        twice(name, place.replace(decoded(name, value, longest)?).is_some())?;
    }
    match named.label.is_some() || named.serial.is_some() {
        true => Ok(named),
        false => Err("it has neither `token` nor `serial`, and the rest names no token for good".to_owned()),
    }
}

fn twice(name: &str, given: bool) -> Result<(), String> {
    if given { Err(format!("`{name}` is given twice")) } else { Ok(()) }
}

/// Why an attribute of the query has no place here. Its value may be a PIN and is not repeated.
fn refused_query(name: &str) -> String {
    match name {
        "pin-value" => {
            "`pin-value`: a PIN is in no setting; store it in the file of pkcs11.pin_file".to_owned()
        }
        "pin-source" => "`pin-source`: name the file in pkcs11.pin_file".to_owned(),
        "module-name" | "module-path" => format!("`{name}`: name the module in pkcs11.module"),
        _ => "its query has an attribute that RFC 7512 does not know".to_owned(),
    }
}

fn refused_path(name: &str) -> String {
    match name {
        "object" | "id" | "type" => format!(
            "`{name}` is of an object, and the URI must name the token alone; \
             pkcs11.kek_label and pkcs11.checkpoint_key_label name keys"
        ),
        "slot-description"
        | "slot-manufacturer"
        | "library-manufacturer"
        | "library-description"
        | "library-version" => format!("`{name}` is not of the token: leave it out"),
        "" => "a part of it is empty".to_owned(),
        _ => "it has an attribute that RFC 7512 does not know".to_owned(),
    }
}

/// A value without its percent-encoding: UTF-8 that shows what it holds.
fn decoded(name: &str, value: &str, longest: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
                let mut decoded = [0];
                hex::decode_to_slice(digits, &mut decoded)
                    .map_err(|_| format!("in `{name}` two hex digits must follow each %"))?;
                decoded[0]
            }
            plain if plain.is_ascii_alphanumeric() || PLAIN.contains(&plain) => plain,
            _ => {
                return Err(format!(
                    "`{name}` has a character that must be percent-encoded, such as a space as %20"
                ));
            }
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("`{name}` is not UTF-8"))?;
    match text.is_empty() || text.len() > longest || !text.chars().all(is_visible) {
        true => Err(format!("`{name}` must have 1 to {longest} bytes of visible characters")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_token_is_named_by_what_a_uri_says_of_it() {
        let text = |text: &str| Some(text.to_owned());
        for (uri, token) in [
            ("pkcs11:token=avs-kms", TokenSelector { label: text("avs-kms"), ..TokenSelector::default() }),
            ("PKCS11:serial=1f", TokenSelector { serial: text("1f"), ..TokenSelector::default() }),
            (
                "pkcs11:token=Schl%C3%BCssel%201;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;serial=0a1b;slot-id=7",
                TokenSelector {
                    label: text("Schlüssel 1"),
                    serial: text("0a1b"),
                    manufacturer: text("SoftHSM project"),
                    model: text("SoftHSM v2"),
                    slot: Some(7),
                },
            ),
            ("pkcs11:token=a%3Bb%25%3F", TokenSelector { label: text("a;b%?"), ..TokenSelector::default() }),
            ("pkcs11:token=a=b&c", TokenSelector { label: text("a=b&c"), ..TokenSelector::default() }),
        ] {
            assert_eq!(parse(uri), Ok(token), "{uri}");
        }
    }

    #[test]
    fn what_names_no_token_is_refused_with_the_reason_and_no_pin_is_repeated() {
        for (uri, reason) in [
            ("", "begin with"),
            ("softhsm:token=a", "begin with"),
            ("ä", "begin with"),
            ("pkcs11:", "name=value"),
            ("pkcs11:token", "name=value"),
            ("pkcs11:token=a;", "name=value"),
            ("pkcs11:token=", "1 to 32"),
            ("pkcs11:slot-id=1", "neither"),
            ("pkcs11:manufacturer=a;model=b", "neither"),
            ("pkcs11:token=a;slot-id=-1", "whole number"),
            ("pkcs11:token=a;slot-id=99999999999999999999", "whole number"),
            ("pkcs11:token=a;slot-id=1;slot-id=2", "twice"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:token=a b", "percent-encoded"),
            ("pkcs11:token=ä", "percent-encoded"),
            ("pkcs11:token=a/b", "percent-encoded"),
            ("pkcs11:token=a%2", "hex digits"),
            ("pkcs11:token=a%", "hex digits"),
            ("pkcs11:token=a%zz", "hex digits"),
            ("pkcs11:token=%ff", "UTF-8"),
            ("pkcs11:token=a%00", "visible"),
            ("pkcs11:token=a%E2%80%AEb", "visible"),
            ("pkcs11:serial=12345678901234567", "1 to 16"),
            ("pkcs11:token=a;object=kek", "kek_label"),
            ("pkcs11:token=a;type=secret-key", "kek_label"),
            ("pkcs11:token=a;id=%00", "kek_label"),
            ("pkcs11:token=a;library-version=3", "leave it out"),
            ("pkcs11:token=a;x-vendor=b", "does not know"),
            ("pkcs11:token=a?pin-value=1234secret", "pin_file"),
            ("pkcs11:token=a?pin-source=file:/etc/pin", "pin_file"),
            ("pkcs11:token=a?module-path=/tmp/x.so", "pkcs11.module"),
            ("pkcs11:token=a?module-name=x", "pkcs11.module"),
            ("pkcs11:token=a?x=y", "does not know"),
            ("pkcs11:token=a?", "does not know"),
        ] {
            let said = parse(uri).unwrap_err();
            assert!(said.contains(reason) && !said.contains("1234secret"), "{uri}: {said}");
        }
    }
}
