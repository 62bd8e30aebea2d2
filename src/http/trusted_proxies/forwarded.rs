//! Parser of `Forwarded` (RFC 7239): strict, because a lenient one lets a client hide a proxy's entry in its own.

use axum::http::HeaderValue;

use super::node::{Hop, Malformed, node};

/// What the elements of all headers say of the client, first to last.
pub(super) fn hops<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Vec<Hop>, Malformed> {
    let mut hops = Vec::new();
    for value in values {
        let mut rest = value.to_str().map_err(|_| Malformed)?;
        loop {
            let hop;
            (hop, rest) = element(rest)?;
            hops.extend(hop);
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.is_empty() => break,
                None => return Err(Malformed),
            }
        }
    }
    Ok(hops)
}

/// One element, pairs with `;` between, and what follows it. An empty element says nothing; one without `for` hides
/// the client.
fn element(text: &str) -> Result<(Option<Hop>, &str), Malformed> {
    let mut rest = text.trim_start_matches([' ', '\t']);
    if rest.is_empty() || rest.starts_with(',') {
        return Ok((None, rest));
    }
    let mut client = None;
    loop {
        let (name, after) = rest.split_once('=').ok_or(Malformed)?;
        if !is_token(name) {
            return Err(Malformed);
        }
        let value;
        (value, rest) = parameter(after)?;
        if name.eq_ignore_ascii_case("for") && client.replace(node(&value)?).is_some() {
            return Err(Malformed);
        }
        match rest.strip_prefix(';') {
            Some(next) => rest = next.trim_start_matches([' ', '\t']),
            None => return Ok((Some(client.unwrap_or(Hop::Hidden)), rest)),
        }
    }
}

/// The value of a pair, a token or a quoted string, and what follows it.
fn parameter(text: &str) -> Result<(String, &str), Malformed> {
    let (value, rest) = match text.strip_prefix('"') {
        None => {
            let end = text.find([',', ';', ' ', '\t']).unwrap_or(text.len());
            let (value, rest) = text.split_at_checked(end).ok_or(Malformed)?;
            if !is_token_of_proxies(value) {
                return Err(Malformed);
            }
            (value.to_owned(), rest)
        }
        Some(quoted) => {
            let (mut value, mut characters) = (String::new(), quoted.chars());
            loop {
                match characters.next().ok_or(Malformed)? {
                    '"' => break,
                    '\\' => value.push(characters.next().ok_or(Malformed)?),
                    character => value.push(character),
                }
            }
            (value, characters.as_str())
        }
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    let ends = rest.is_empty() || rest.starts_with([',', ';']);
    ends.then_some((value, rest)).ok_or(Malformed)
}

/// A token (RFC 9110).
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// A token, or an address with a port that many proxies leave without the quotation marks it needs.
fn is_token_of_proxies(text: &str) -> bool {
    is_token(&text.replace([':', '[', ']'], "-"))
}
