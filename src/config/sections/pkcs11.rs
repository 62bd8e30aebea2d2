//! `[pkcs11]`.

use std::path::{Path, PathBuf};

use crate::config::kinds::{ANY, Choice, LABEL, Optional, PATH};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// The PKCS#11 token that wraps the keys.
    ["pkcs11"]
    pub struct Pkcs11 {
        /// Path of the PKCS#11 module; a bare name is a file of the working directory. The default is
        /// SoftHSM. The token of an HSM must offer AES-GCM, HMAC-SHA-256 or AES key wrap, private data
        /// objects and EC keys.
        module: PathBuf = "/usr/lib/softhsm/libsofthsm2.so", PATH;
        /// Label of the token. A token is found by label or by serial number, never by slot number,
        /// which changes.
        label: String = "avs-kms", LABEL;
        /// Serial number of the token, in place of its label. Empty: the label counts.
        serial: String = "", ANY;
        /// Wrapping scheme. With `auto`, `init` takes the first that works with the token, of S1, S6 and
        /// S2, and the service keeps to it. Any other value refuses a token with another scheme.
        scheme: Scheme = "auto", Choice(SCHEMES);
        /// File with the user PIN of the token. Its mode must be 0600 or stricter, its owner the
        /// user of the service. A file of root may be readable for a group of the service: 0440, as
        /// systemd and Kubernetes have it. The service tries the PIN once at each start and each
        /// reconnection. After a refusal it does not reconnect.
        pin_file: PathBuf = "<data>/pin", PATH;
        /// Configuration file of SoftHSM, whose tokens are in the directory `tokens` beside it.
        /// Set it to `""` for every other module.
        softhsm_conf: Option<PathBuf> = "<data>/token/softhsm2.conf", Optional(PATH);
    }
}

/// How scalars are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The first that works.
    Auto,
    /// AES-GCM by the token.
    S1,
    /// AES key wrap by the token.
    S2,
    /// AES-GCM in guarded memory, under a key that the token derives by HMAC.
    S6,
}

const SCHEMES: &[(&str, Scheme)] =
    &[("auto", Scheme::Auto), ("S1", Scheme::S1), ("S6", Scheme::S6), ("S2", Scheme::S2)];

/// How the token is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSelector {
    /// By label.
    Label(String),
    /// By serial number.
    Serial(String),
}

impl Pkcs11 {
    /// Puts values in the place of defaults that follow from other settings, and checks them.
    pub(in crate::config) fn resolve(&mut self, reader: &mut Reader) {
        if !self.serial.is_empty() && !reader.is_given("pkcs11.label") {
            self.label.clear();
        }
        if self.label.is_empty() == self.serial.is_empty() {
            reader.error("pkcs11.label", "exactly one of pkcs11.label and pkcs11.serial names the token");
        }
        if !self.is_softhsm() && !reader.is_given("pkcs11.softhsm_conf") {
            self.softhsm_conf = None;
        }
        if self.is_softhsm() && self.softhsm_conf.is_none() {
            reader.error(
                "pkcs11.softhsm_conf",
                "SoftHSM needs its configuration file: the service syncs the token beside it to disk",
            );
        }
    }

    /// How the token is found.
    pub fn selector(&self) -> TokenSelector {
        match self.serial.as_str() {
            "" => TokenSelector::Label(self.label.clone()),
            serial => TokenSelector::Serial(serial.to_owned()),
        }
    }

    /// Whether the module is SoftHSM's, by its file name.
    pub fn is_softhsm(&self) -> bool {
        self.module.file_name().is_some_and(|name| name.to_string_lossy().contains("softhsm"))
    }

    /// Where SoftHSM keeps its tokens: `tokens` beside its configuration.
    pub fn softhsm_directory(&self) -> Option<PathBuf> {
        self.softhsm_conf.as_deref().and_then(Path::parent).map(|directory| directory.join("tokens"))
    }
}
