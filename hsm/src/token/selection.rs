//! Selection of the token among the slots of the module. Exactly one may fit; a slot number alone never counts.

use std::fmt;

use crate::error::OpenError;
use crate::pkcs11::TokenInfo;
use crate::settings::TokenSelector;

/// The one token that fits.
///
/// `serial`: of the token that was used before; another token of the same label is not taken for it.
pub(crate) fn select(
    tokens: Vec<TokenInfo>,
    selector: &TokenSelector,
    serial: Option<&str>,
) -> Result<TokenInfo, OpenError> {
    let mut tokens: Vec<_> = tokens.into_iter().filter(|seen| seen.info.token_initialized()).collect();
    let seen = tokens.iter().map(|seen| Shown(seen).to_string()).collect();
    tokens.retain(|seen| fits(seen, selector) && serial.is_none_or(|serial| seen.serial == serial));
    let wanted = || selector.to_string();
    match tokens.pop() {
        None => Err(OpenError::TokenNotFound { wanted: wanted(), seen }),
        Some(found) if tokens.is_empty() => Ok(found),
        Some(last) => {
            tokens.push(last);
            let found = tokens.iter().map(|seen| Shown(seen).to_string()).collect();
            Err(OpenError::TokenAmbiguous { wanted: wanted(), found })
        }
    }
}

fn fits(seen: &TokenInfo, selector: &TokenSelector) -> bool {
    let TokenSelector { label, serial, manufacturer, model, slot } = selector;
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    is(label, &seen.label)
        && is(serial, &seen.serial)
        && is(manufacturer, &seen.manufacturer)
        && is(model, &seen.model)
        && slot.is_none_or(|slot| slot == seen.slot.id())
}

/// A token as an operator tells it from others.
struct Shown<'a>(&'a TokenInfo);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TokenInfo { label, serial, slot, .. } = self.0;
        write!(f, "{label:?} (serial {serial:?}, slot {})", slot.id())
    }
}
