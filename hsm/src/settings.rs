//! Values the enclave is opened with. Not for reading files or the environment: the service does that.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bn254_ct::FaultCheck;

use crate::records::Records;
use crate::softhsm_layout::SofthsmLayout;

/// How the token is found: it has everything that is given here, and no other token has. A slot number alone names none:
/// modules renumber at will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSelector {
    /// Its label, without the padding.
    pub label: Option<String>,
    /// Its serial number, without the padding.
    pub serial: Option<String>,
    /// Its manufacturer, without the padding.
    pub manufacturer: Option<String>,
    /// Its model, without the padding.
    pub model: Option<String>,
    /// The slot that it must be in.
    pub slot: Option<u64>,
}

impl TokenSelector {
    /// By label alone.
    pub fn label(label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..Self::default() }
    }

    /// By serial number alone.
    pub fn serial(serial: impl Into<String>) -> Self {
        Self { serial: Some(serial.into()), ..Self::default() }
    }
}

impl fmt::Display for TokenSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, serial, manufacturer, model, slot } = self;
        let texts = [("label", label), ("serial", serial), ("manufacturer", manufacturer), ("model", model)];
        let texts = texts.iter().filter_map(|(name, text)| Some(format!("{name} {:?}", text.as_ref()?)));
        let parts: Vec<_> = texts.chain(slot.map(|slot| format!("slot {slot}"))).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Labels of keys that the administrator of the HSM made before `init`. None: `init` makes the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreparedKeys {
    /// The key-encryption key: a secret key.
    pub kek: Option<String>,
    /// The key pair that signs the audit log's checkpoints.
    pub checkpoint_key: Option<String>,
}

/// Which wrapping schemes may be used. Every other refuses the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeChoice {
    /// The first that works; afterwards the one that the token was initialised with.
    Auto,
    /// AES-GCM by the token.
    S1,
    /// AES key wrap by the token.
    S2,
    /// RSA-OAEP: sealed in guarded memory, opened by the token.
    S5,
    /// AES-GCM in guarded memory, under a key of the record that the token derives by HMAC.
    S6,
}

/// Where the wrapped records may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationChoice {
    /// `init`: the token where it takes data objects, else outside. Afterwards the place that has the canary record.
    Auto,
    /// Data objects of the token.
    Token,
    /// [`Settings::records`].
    Store,
}

/// What to do with a PIN that the token would rather not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinUse {
    /// Present it only if the token has not refused it before, and not at the last try.
    Careful,
    /// Present it once in any case: an operator has checked it.
    TryOnce,
}

/// The lease that names the one process that uses a token with data objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Time between two looks at the leases in the token.
    pub interval: Duration,
    /// How long a process waits whether the holder of the lease answers; more than twice the interval.
    pub patience: Duration,
    /// Take the lease from its holder, also one of another installation.
    pub take_over: bool,
    /// Id of this boot of the host. None: the kernel's.
    pub boot: Option<String>,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        let (interval, patience) = (Duration::from_secs(3), Duration::from_secs(10));
        Self { interval, patience, take_over: false, boot: None }
    }
}

/// Everything [`crate::Enclave::open`] needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The PKCS#11 module, e.g. `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// Text that C_Initialize gives the module in `pReserved`; NSS takes its configuration from there.
    pub initialize_string: Option<String>,
    /// Which token of the module.
    pub token: TokenSelector,
    /// Keys that `init` finds in the token and does not make.
    pub prepared_keys: PreparedKeys,
    /// Which wrapping scheme the token must have.
    pub scheme: SchemeChoice,
    /// Where the wrapped records must be.
    pub location: LocationChoice,
    /// The place of wrapped records outside the token; none where there is none.
    pub records: Option<Arc<dyn Records + Send + Sync>>,
    /// File with the user PIN; mode 0600 or stricter, owned by the effective user or root.
    pub pin_file: PathBuf,
    /// File that remembers PINs which the token refused, so that no restart presents one again; none: not remembered.
    pub refused_pins: Option<PathBuf>,
    /// Whether the PIN is presented where it was refused before, or at the last try.
    pub pin_use: PinUse,
    /// File that is locked while a process uses the token.
    pub lock_file: PathBuf,
    /// The lease in the token.
    pub lease: LeaseSettings,
    /// SoftHSM's files: its tokens are synced before a creation is reported, because SoftHSM itself never syncs. None for
    /// other modules.
    pub softhsm: Option<SofthsmLayout>,
    /// Worker threads, each with a session of its own; at least one.
    pub workers: usize,
    /// Operations that may wait for a worker; one more is answered `Overloaded`.
    pub queue: usize,
    /// Refuse to run where the kernel has no `memfd_secret`.
    pub require_secret_memory: bool,
    /// What is checked of every product.
    pub fault_check: FaultCheck,
    /// Time between two checks of the canary record.
    pub canary_interval: Duration,
    /// A thread inside one call for longer counts as stuck, and a spare replaces it.
    pub stall_timeout: Duration,
}
