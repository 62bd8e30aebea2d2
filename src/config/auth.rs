//! `[auth]`: logins and signed requests.

use std::time::Duration;

use super::reader::Reader;

/// `[auth]`
#[derive(Debug)]
pub struct Auth {
    /// The URL under which clients know the service; empty for the address that it listens on.
    pub url: String,
    /// The chain of the operators (EIP-155).
    pub chain_id: u64,
    /// How long the token of a login works if nobody says otherwise.
    pub token_ttl: Duration,
    /// How long it may work.
    pub max_token_ttl: Duration,
    /// Who may log in and sign requests, addresses with a space between; empty for everybody.
    pub operators: String,
}

pub(super) fn auth(reader: &mut Reader) -> Auth {
    let auth = Auth {
        url: reader.url("auth.url"),
        chain_id: reader.number("auth.chain_id", 1, 1..=(1 << 53) - 1),
        token_ttl: reader.days("auth.token_ttl", "15m"),
        max_token_ttl: reader.days("auth.max_token_ttl", "1h"),
        operators: reader.text("auth.operators", ""),
    };
    if auth.token_ttl > auth.max_token_ttl {
        reader.mistake("auth.token_ttl", "longer than auth.max_token_ttl");
    }
    auth
}
