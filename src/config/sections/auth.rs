//! `[auth]` and `[chain]`.

use std::time::Duration;

use crate::config::kinds::{BOOL, EOA, LIFETIME, List, Number, OPERATOR, Optional, TIME, URL};
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
        /// EOAs that may log in and sign requests, for their own keys. Empty: none, and both are
        /// disabled; access tokens that the administrator issues on the host still work. `["*"]`:
        /// every EOA, also one that was made a moment ago; only for a service that no other client
        /// reaches.
        allowed_operators: Vec<String> = "", List(OPERATOR);
        /// Addresses of contract wallets (ERC-1271) that may log in. The node of `chain.rpc_url` says
        /// which signature their contract accepts, so it can log in as each of them. Empty: none may.
        contract_wallets: Vec<String> = "", List(EOA);
    }
}

section! {
    /// A node of the chain on which the keys are registered.
    ["chain"]
    pub struct Chain {
        /// URL of the node's JSON-RPC, such as `https://host:8545`. With it the service accepts
        /// the contract wallets of `auth.contract_wallets`, and before it signs a registration it
        /// compares the digest with the one of the registry contract. Empty: the service asks no
        /// chain.
        rpc_url: Option<String> = "", Optional(URL);
        /// Accept plain HTTP to a node on another machine. Set it only where a network of your own
        /// protects the way: an attacker on it answers in the place of the node.
        allow_plain_http: bool = "false", BOOL;
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
        if self.allowed_operators.len() > 1 && self.allowed_operators.iter().any(|it| it == "*") {
            reader.error("auth.allowed_operators", "\"*\" stands for every EOA: remove the others, or it");
        }
    }
}

impl Chain {
    /// What holds between the settings.
    pub(in crate::config) fn check(&self, contract_wallets: &[String], reader: &mut Reader) {
        match &self.rpc_url {
            None if !contract_wallets.is_empty() => {
                reader.error("auth.contract_wallets", "contract wallets need a node: set chain.rpc_url");
            }
            Some(url) if !self.allow_plain_http && is_plain_beyond_loopback(url) => {
                reader.error(
                    "chain.rpc_url",
                    "plain HTTP is accepted to a loopback address only: use https, or set \
                     chain.allow_plain_http = true where a network of your own protects it",
                );
            }
            Some(_) | None => {}
        }
    }
}

/// Whether a URL leads over plain HTTP to another machine.
fn is_plain_beyond_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let address = authority.rsplit('@').next().unwrap_or_default();
    let host = match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => address.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host != "localhost" && !host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_plain_beyond_loopback;

    #[test]
    fn plain_http_to_another_machine_is_seen_however_the_url_is_written() {
        for url in [
            "https://node",
            "http://127.0.0.1:8545",
            "http://localhost/x",
            "http://[::1]:1",
            "http://u:p@127.9.9.9/",
        ] {
            assert!(!is_plain_beyond_loopback(url), "{url}");
        }
        for url in [
            "http://node:8545",
            "http://10.0.0.1",
            "http://127.0.0.1@node",
            "http://node\\@127.0.0.1",
            "http://node#@127.0.0.1",
            "http://node?@localhost",
            "http://localhost.node",
            "http://[::ffff:10.0.0.1]",
            "http://",
        ] {
            assert!(is_plain_beyond_loopback(url), "{url}");
        }
    }
}
