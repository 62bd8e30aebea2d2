//! What a token says of its PIN and its sessions.

use cryptoki::slot::{Limit, TokenInfo};

use crate::pkcs11::Module;
use crate::token::connection::LoggedInToken;

/// Looked at while the holder's and one more session are open.
pub(super) fn sessions(module: &Module, login: &LoggedInToken) -> String {
    let info = match module.token_info(login.generation, login.info.slot) {
        Ok(seen) => seen.info,
        Err(error) => return format!("unknown ({error})"),
    };
    let open = |count: Option<u64>| known(count).map_or("unknown".to_owned(), |count| count.to_string());
    let most = |most: Limit| match most {
        Limit::Infinite => "any number".to_owned(),
        Limit::Max(most) => open(Some(most)),
        Limit::Unavailable => open(None),
    };
    let all = format!("{} open of {}", open(info.session_count()), most(info.max_session_count()));
    let rw = format!("{} open of {}", open(info.rw_session_count()), most(info.max_rw_session_count()));
    format!("{all}; read-write {rw}")
}

/// A number that a token can count to: opencryptoki says -2 where it does not know.
fn known(count: Option<u64>) -> Option<u64> {
    count.filter(|count| u32::try_from(*count).is_ok())
}

pub(super) fn pin_state(info: &TokenInfo) -> &'static str {
    let states = [
        (info.user_pin_locked(), "locked"),
        (info.user_pin_final_try(), "final try"),
        (info.user_pin_count_low(), "count low"),
    ];
    states.iter().find(|(flag, _)| *flag).map_or("ok", |(_, state)| state)
}
