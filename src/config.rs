//! The settings of the program: defaults < `avs-kms.toml` < environment < flags.
//!
//! A leaf: it uses nothing of the crate, and modules get plain values from it, never the whole. Unknown
//! settings are refused and every mistake is reported at once. No setting is a secret: secrets go by path.

mod auth;
mod edge;
mod events;
mod reader;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use events::{Events, Rotation};
use reader::Reader;

pub use auth::Auth;
pub use edge::{ClientAuth, Limits, Tls};

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

/// `[token]`: the PKCS#11 slot.
#[derive(Debug)]
pub struct Token {
    /// The vendor's library.
    pub module: PathBuf,
    /// Which token.
    pub selector: TokenSelector,
    /// The file with the user PIN, 0600 or stricter.
    pub pin_file: PathBuf,
    /// SoftHSM's own configuration; none for other modules.
    pub softhsm_conf: Option<PathBuf>,
}

impl Token {
    /// Whether the module is SoftHSM's, by its name.
    pub fn is_softhsm(&self) -> bool {
        is_softhsm(&self.module)
    }

    /// Where SoftHSM keeps its tokens: `tokens` beside its configuration.
    pub fn softhsm_directory(&self) -> Option<PathBuf> {
        self.softhsm_conf.as_deref().and_then(Path::parent).map(|directory| directory.join("tokens"))
    }
}

/// How the token is found: never by slot number, which changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSelector {
    /// By label.
    Label(String),
    /// By serial number.
    Serial(String),
}

fn is_softhsm(module: &Path) -> bool {
    module.file_name().is_some_and(|name| name.to_string_lossy().contains("softhsm"))
}

/// `[enclave]`: the workers.
#[derive(Debug)]
pub struct Enclave {
    /// Worker threads.
    pub workers: usize,
    /// Requests that may wait for a worker.
    pub queue: usize,
    /// Refuse to start without `memfd_secret`.
    pub require_secret_memory: bool,
    /// How results are checked before release.
    pub fault_check: FaultCheck,
    /// How often the canary record is multiplied with.
    pub canary_interval: Duration,
    /// A token call that takes longer is taken for lost.
    pub stall_limit: Duration,
    /// What the serving process gives up.
    pub sandbox: Sandbox,
    /// Files and directories that the token's module needs besides.
    pub sandbox_paths: Vec<PathBuf>,
}

/// What a kind of token leaves the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// `Softhsm` for SoftHSM's module, `Network` for every other.
    Auto,
    /// Files.
    Softhsm,
    /// Files and sockets.
    Network,
    /// Everything.
    Off,
}

/// How the result of a multiplication is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCheck {
    /// The result is on the curve.
    Curve,
    /// The result is consistent with the public key, too: about twice the time.
    Linear,
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

/// `[log]`: what goes to standard error.
#[derive(Debug)]
pub struct Log {
    /// For people or for programs.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `avs_kms=debug`.
    pub level: String,
}

/// `[telemetry]`: spans for a collector.
#[derive(Debug)]
pub struct Telemetry {
    /// Where spans go, OTLP over HTTP; empty for nowhere. It may hold an API key: not for logs.
    pub otlp_endpoint: String,
    /// Which part of the requests has a span, 0 to 1.
    pub otlp_sample_ratio: f64,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
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
        health_listen: edge::health_listen(&mut reader),
        request_deadline: reader.duration("server.request_deadline", "10s"),
        header_timeout: reader.duration("server.header_timeout", "5s"),
        body_timeout: reader.duration("server.body_timeout", "5s"),
        write_timeout: reader.duration("server.write_timeout", "10s"),
        max_connections: reader.number("server.max_connections", 512, 1..=65_536),
        shutdown_grace: reader.duration("server.shutdown_grace", "20s"),
    };
    let tls = edge::tls(&mut reader);
    if !reader.value::<bool>("server.plain_http_beyond_loopback", "false", "true or false") {
        if tls.is_none() {
            edge::refuse_clear_text(&mut reader, "server.listen", server.listen);
        }
        if let Some(address) = server.health_listen {
            edge::refuse_clear_text(&mut reader, "server.health_listen", address);
        }
    }
    let module = reader.path("token.module", Path::new("/usr/lib/softhsm/libsofthsm2.so"));
    let serial = reader.text("token.serial", "");
    let label = reader.text("token.label", if serial.is_empty() { "avs-kms" } else { "" });
    let selector = match (label.is_empty(), serial.is_empty()) {
        (false, true) => TokenSelector::Label(label),
        (_, false) if label.is_empty() => TokenSelector::Serial(serial),
        _ => {
            reader.mistake("token.label", "exactly one of token.label and token.serial names the token");
            TokenSelector::Label(label)
        }
    };
    let softhsm = is_softhsm(&module);
    let softhsm_default = if softhsm { below("token/softhsm2.conf") } else { PathBuf::new() };
    let softhsm_conf = reader.path("token.softhsm_conf", &softhsm_default);
    if softhsm && softhsm_conf.as_os_str().is_empty() {
        reader.mistake("token.softhsm_conf", "SoftHSM needs its configuration: keys are synced beside it");
    }
    let token = Token {
        module,
        selector,
        pin_file: reader.path("token.pin_file", &below("pin")),
        softhsm_conf: (!softhsm_conf.as_os_str().is_empty()).then_some(softhsm_conf),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let enclave = Enclave {
        workers: match reader.number("enclave.workers", 0, 0..=1024) {
            0 => cores,
            workers => workers,
        },
        queue: reader.number("enclave.queue", 1024, 1..=1_048_576),
        require_secret_memory: reader.value("enclave.require_secret_memory", "false", "true or false"),
        fault_check: reader.choice(
            "enclave.fault_check",
            "linear",
            &[("linear", FaultCheck::Linear), ("curve", FaultCheck::Curve)],
        ),
        canary_interval: reader.duration("enclave.canary_interval", "5s"),
        stall_limit: reader.duration("enclave.stall_limit", "2s"),
        sandbox: reader.choice(
            "enclave.sandbox",
            "auto",
            &[
                ("auto", Sandbox::Auto),
                ("softhsm", Sandbox::Softhsm),
                ("network", Sandbox::Network),
                ("off", Sandbox::Off),
            ],
        ),
        sandbox_paths: std::env::split_paths(&reader.text("enclave.sandbox_paths", ""))
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
    };
    let limits = edge::limits(&mut reader, cores);
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
    let log = Log {
        format: reader.choice("log.format", "text", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        level: reader.text("log.level", "info"),
    };
    if log.level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        reader.mistake("log.level", "not a level or filter such as info or avs_kms=debug");
    }
    let telemetry = Telemetry {
        otlp_endpoint: reader.url("telemetry.otlp_endpoint"),
        otlp_sample_ratio: reader.value("telemetry.otlp_sample_ratio", "1", "a number from 0 to 1"),
    };
    if !(0.0..=1.0).contains(&telemetry.otlp_sample_ratio) {
        reader.mistake("telemetry.otlp_sample_ratio", "a number from 0 to 1");
    }
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
