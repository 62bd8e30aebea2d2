//! `[token]` and `[enclave]`: where the keys are, and who works with them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Reader;

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

/// Takes `[token]`.
pub(super) fn token(reader: &mut Reader, directory: &Path) -> Token {
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
    let softhsm_default = if softhsm { directory.join("token/softhsm2.conf") } else { PathBuf::new() };
    let softhsm_conf = reader.path("token.softhsm_conf", &softhsm_default);
    if softhsm && softhsm_conf.as_os_str().is_empty() {
        reader.mistake("token.softhsm_conf", "SoftHSM needs its configuration: keys are synced beside it");
    }
    Token {
        module,
        selector,
        pin_file: reader.path("token.pin_file", &directory.join("pin")),
        softhsm_conf: (!softhsm_conf.as_os_str().is_empty()).then_some(softhsm_conf),
    }
}

/// Takes `[enclave]`.
pub(super) fn enclave(reader: &mut Reader, cores: usize) -> Enclave {
    Enclave {
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
    }
}
