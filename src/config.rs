//! The settings of the program: defaults < `avs-kms.toml` < environment < flags.
//!
//! A leaf: it uses nothing of the crate, and modules get plain values from it, never the whole. Unknown
//! settings are refused and every mistake is reported at once. No setting is a secret: secrets go by path.

mod auth;
mod events;
mod limits;
mod log;
mod pkcs11;
mod reader;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use events::{Events, Rotation};
use reader::Reader;

pub use auth::Auth;
pub use limits::Limits;
pub use log::{Log, LogFormat, Telemetry};
pub use pkcs11::{Enclave, FaultCheck, Sandbox, Token, TokenSelector};
pub use tls::{ClientAuth, Tls};

/// Every setting, valid.
#[derive(Debug)]
pub struct Configuration {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[tls]`, where a certificate is given.
    pub tls: Option<Tls>,
    /// `[data]`
    pub data: Data,
    /// `[token]`
    pub token: Token,
    /// `[enclave]`
    pub enclave: Enclave,
    /// `[audit]`
    pub audit: Audit,
    /// `[auth]`
    pub auth: Auth,
    /// `[chain]`
    pub chain: Chain,
    /// `[rotation]`
    pub rotation: Rotation,
    /// `[events]`
    pub events: Events,
    /// `[log]`
    pub log: Log,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// SHA-256 of every setting and its value, for the audit log.
    pub digest: [u8; 32],
    /// The same of the settings that take a restart.
    pub fixed_digest: [u8; 32],
}

/// `[server]`: the HTTP listener.
#[derive(Debug)]
pub struct Server {
    /// Where to listen. Plain HTTP: loopback only, unless the configuration says otherwise.
    pub listen: SocketAddr,
    /// Where health is told besides, on a listener that no flood of clients reaches.
    pub health_listen: Option<SocketAddr>,
    /// Every request is answered within this time.
    pub request_deadline: Duration,
    /// The header of a request must be complete within this time; idle connections end after it.
    pub header_timeout: Duration,
    /// The body of a request must be complete within this time.
    pub body_timeout: Duration,
    /// A client that takes nothing of its answer for so long is left.
    pub write_timeout: Duration,
    /// Beyond so many connections no further one is accepted until one ends.
    pub max_connections: u32,
    /// How long a shutdown waits for requests that are under way.
    pub shutdown_grace: Duration,
}

/// `[data]`: the one directory that must survive.
#[derive(Debug)]
pub struct Data {
    /// The directory.
    pub directory: PathBuf,
}

impl Data {
    /// The database of the store.
    pub fn store(&self) -> PathBuf {
        self.directory.join("store.sqlite")
    }

    /// Who holds the directory: one process at a time.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// The lock of the token, held by the enclave.
    pub fn token_lock(&self) -> PathBuf {
        self.directory.join("token.lock")
    }

    /// The socket on which the running service takes the machine's own operator's commands.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }
}

/// `[audit]`: the log.
#[derive(Debug)]
pub struct Audit {
    /// The directory of the segments.
    pub directory: PathBuf,
    /// The size of a segment.
    pub segment_bytes: u64,
    /// Copies of the newest checkpoint, on other disks.
    pub checkpoint_files: Vec<PathBuf>,
    /// Every record as a line of JSON, for log shippers.
    pub mirror: Option<PathBuf>,
    /// Gets the newest checkpoint; empty for none. It may hold an API key: not for logs.
    pub webhook: String,
    /// How often the token keeps the newest checkpoint, while there is news.
    pub anchor_interval: Duration,
}

/// `[chain]`: the node that is asked what the chain says.
#[derive(Debug)]
pub struct Chain {
    /// The URL of its JSON-RPC; empty for none. It may hold an API key: not for logs.
    pub rpc_url: String,
    /// How long one call may take.
    pub timeout: Duration,
}

/// Every mistake in the settings, one a line.
#[derive(Debug, Error)]
#[error("the configuration has {} mistake(s):\n  {}", .0.len(), .0.join("\n  "))]
pub struct Mistakes(Vec<String>);

/// The file that is read if it is there and none is named.
pub const DEFAULT_FILE: &str = "avs-kms.toml";

/// Reads the settings. `overrides` come from flags: the name of a setting and its value.
///
/// # Errors
/// All mistakes at once, each with the setting, the value and where it came from.
pub fn load(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Configuration, Mistakes> {
    let mut reader = Reader::new(file, overrides).map_err(|mistake| Mistakes(vec![mistake]))?;
    let directory: PathBuf = reader.path("data.directory", Path::new("./var"));
    if directory.as_os_str().is_empty() {
        reader.mistake("data.directory", "an empty path names no directory");
    }
    let below = |name: &str| directory.join(name);

    let server = Server {
        listen: reader.value("server.listen", "127.0.0.1:8254", "an address and port such as 127.0.0.1:8254"),
        health_listen: tls::health_listen(&mut reader),
        request_deadline: reader.duration("server.request_deadline", "10s"),
        header_timeout: reader.duration("server.header_timeout", "5s"),
        body_timeout: reader.duration("server.body_timeout", "5s"),
        write_timeout: reader.duration("server.write_timeout", "10s"),
        max_connections: reader.number("server.max_connections", 512, 1..=65_536),
        shutdown_grace: reader.duration("server.shutdown_grace", "20s"),
    };
    let tls = tls::tls(&mut reader);
    if !reader.value::<bool>("server.plain_http_beyond_loopback", "false", "true or false") {
        if tls.is_none() {
            tls::refuse_clear_text(&mut reader, "server.listen", server.listen);
        }
        if let Some(address) = server.health_listen {
            tls::refuse_clear_text(&mut reader, "server.health_listen", address);
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let token = pkcs11::token(&mut reader, &directory);
    let enclave = pkcs11::enclave(&mut reader, cores);
    let limits = limits::limits(&mut reader, cores);
    let audit = Audit {
        directory: reader.path("audit.directory", &below("audit")),
        segment_bytes: reader.number("audit.segment_bytes", 64 << 20, 1 << 20..=4 << 30),
        checkpoint_files: reader.path_or_none("audit.checkpoint_file").into_iter().collect(),
        mirror: reader.path_or_none("audit.mirror"),
        webhook: reader.url("audit.webhook"),
        anchor_interval: reader.duration("audit.anchor_interval", "5m"),
    };
    if !audit.segment_bytes.is_multiple_of(4096) {
        reader.mistake("audit.segment_bytes", "a whole number of pages of 4096 bytes");
    }
    let auth = auth::auth(&mut reader);
    let chain =
        Chain { rpc_url: reader.url("chain.rpc_url"), timeout: reader.duration("chain.timeout", "5s") };
    let (rotation, events) = events::read(&mut reader);
    let (log, telemetry) = log::read(&mut reader);
    let (digest, fixed_digest) = reader.finish().map_err(Mistakes)?;
    let file =
        file.or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|file| file.exists())).map(Path::to_owned);
    let data = Data { directory };
    Ok(Configuration {
        server,
        limits,
        tls,
        data,
        token,
        enclave,
        audit,
        auth,
        chain,
        rotation,
        events,
        log,
        telemetry,
        file,
        digest,
        fixed_digest,
    })
}

#[cfg(test)]
mod tests;
