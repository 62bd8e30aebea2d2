//! What stays allowed in the sandbox.

use std::path::PathBuf;

/// What a kind of PKCS#11 module needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Files only.
    Softhsm,
    /// Files and sockets: the module of an HSM behind a network, a device or a daemon.
    Network,
    /// No sandbox.
    Off,
}

impl Profile {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Softhsm => "softhsm",
            Self::Network => "network",
            Self::Off => "off",
        }
    }
}

/// What stays allowed.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// By kind of token.
    pub profile: Profile,
    /// Files and directory trees that are read.
    pub read: Vec<PathBuf>,
    /// Files and directory trees that are read, written, created and removed.
    pub write: Vec<PathBuf>,
    /// Whether the service itself opens connections (webhooks, JSON-RPC) and looks up names.
    pub connect: bool,
}
