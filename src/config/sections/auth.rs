//! `[auth]` and `[chain]`.

use std::time::Duration;

use crate::config::kinds::{EOA, LIFETIME, List, Number, Optional, TIME, URL};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// Logins and signed requests of operators.
    ["auth"]
    pub struct Auth {
        /// URL by which operators reach the service, such as `https://kms.example`. Logins and signed
        /// requests name it, so that they are valid here only. Empty: the address of
        /// `server.listen`.
        public_url: Option<String> = "", Optional(URL);
        /// Chain id of the operators (EIP-155). Logins and signed requests name it, too.
        chain_id: u64 = "1", Number(1..=(1 << 53) - 1);
        /// Lifetime of the access token of a login that asks for no other lifetime.
        access_token_ttl: Duration = "15m", LIFETIME;
        /// Longest lifetime that a login may ask for.
        max_access_token_ttl: Duration = "1h", LIFETIME;
        /// EOAs that may log in and sign requests. Empty: every EOA may, for its own keys.
        allowed_operators: Vec<String> = "", List(EOA);
    }
}

section! {
    /// A node of the chain on which the keys are registered.
    ["chain"]
    pub struct Chain {
        /// URL of the node's JSON-RPC, such as `https://host:8545`. With it the service accepts
        /// contract wallets (ERC-1271), and before it signs a registration it compares the digest
        /// with the one of the registry contract. Empty: the service asks no chain.
        rpc_url: Option<String> = "", Optional(URL);
        /// Longest time of one call to the node.
        timeout: Duration = "5s", TIME;
    }
}

impl Auth {
    /// What holds between the settings.
    pub(in crate::config) fn check(&self, reader: &mut Reader) {
        if self.access_token_ttl > self.max_access_token_ttl {
            reader.error("auth.access_token_ttl", "longer than auth.max_access_token_ttl");
        }
    }
}
