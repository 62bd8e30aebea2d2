//! `[pkcs11]`.

use std::path::PathBuf;

use crate::config::kinds::{
    ANY, Choice, KEY_LABEL, LABEL, List, MODULE_TEXT, Number, Optional, PATH, SERIAL, VARIABLE,
};
use crate::config::pkcs11_uri::{self, TokenSelector};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// The PKCS#11 token that wraps the keys.
    ["pkcs11"]
    pub struct Pkcs11 {
        /// Path of the PKCS#11 module; a bare name is a file of the working directory. The default is
        /// SoftHSM. The token of an HSM must offer AES-GCM, HMAC-SHA-256 or AES key wrap, and EC keys.
        module: PathBuf = "/usr/lib/softhsm/libsofthsm2.so", PATH;
        /// Text that the module gets as `pReserved` of C_Initialize. NSS takes its configuration from there,
        /// such as `configdir='sql:/etc/avs-kms/nss' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`.
        /// Leave it empty for a module whose manual does not ask for it: most refuse it.
        initialize_string: Option<String> = "", Optional(MODULE_TEXT);
        /// Environment variables of the module, such as `["KRYOPTIC_CONF=/etc/kryoptic.conf"]`. The program
        /// starts itself again with them before it loads the module. A variable of the loader, of the
        /// program or PATH is refused. A value that is an absolute path can be read inside the sandbox;
        /// what the module writes is named in `sandbox.extra_paths`. A value with a comma must be given in
        /// the file. Give a module its secrets in files: root sees the environment of each process.
        environment: Vec<(String, String)> = "", List(VARIABLE);
        /// Label of the token. A token is found by label, by serial number or by URI, never by slot number
        /// alone, which changes. Exactly one token may fit.
        label: String = "avs-kms", LABEL;
        /// Serial number of the token, in place of its label or beside it. Empty: the label counts.
        serial: String = "", SERIAL;
        /// Token as a PKCS#11 URI (RFC 7512), in place of label and serial number:
        /// `pkcs11:token=Rack%201;serial=1234`. It may have `token`, `serial`, `manufacturer`, `model` and
        /// `slot-id`. What names an object, a PIN or a module is refused: other settings name those.
        uri: String = "", ANY;
        /// Slot that the token must be in, beside `pkcs11.label` or `pkcs11.serial`. For a module that
        /// shows several tokens of one label without serial numbers.
        slot_id: Option<u64> = "", Optional(Number(0..=u64::MAX));
        /// Label of a secret key that the HSM's administrator made to wrap keys, for an HSM that lets no
        /// user generate keys. `init` checks it, uses it and never destroys it. It must be private, sensitive,
        /// never extractable: AES-256 for encryption and decryption, a generic secret of 32 bytes for
        /// signing, or RSA with 3072 bits for decryption, and allowed nothing else. Empty: `init` makes the key. After `init`
        /// it changes by `avs-kms rewrap` alone.
        kek_label: Option<String> = "", Optional(KEY_LABEL);
        /// Label of a key pair that the HSM's administrator made to sign checkpoints of the audit log:
        /// Ed25519, P-256 or RSA with 3072 bits, sensitive, not extractable, for signing. Empty: `init`
        /// makes it.
        checkpoint_key_label: Option<String> = "", Optional(KEY_LABEL);
        /// Wrapping scheme. With `auto`, `init` takes the first that works with the token, of S1, S6, S2
        /// and S5, and the service keeps to it. Any other value refuses a token with another scheme.
        scheme: Scheme = "auto", Choice(SCHEMES);
        /// File with the user PIN of the token. Its mode must be 0600 or stricter, its owner the
        /// user of the service. A file of root may be readable for a group of the service: 0440, as
        /// systemd and Kubernetes have it. The service tries the PIN once at each start and each
        /// reconnection. After a refusal it does not reconnect.
        pin_file: PathBuf = "<data>/pin", PATH;
        /// Configuration file of SoftHSM. `init` makes it, with the directory `tokens` beside it. Where
        /// the file is there and names another directory, as /etc/softhsm/softhsm2.conf does, the tokens
        /// are used there, and a backup does not hold them. Set it to `""` for every other module.
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
    /// RSA-OAEP: sealed in guarded memory, opened by the token.
    S5,
}

const SCHEMES: &[(&str, Scheme)] =
    &[("auto", Scheme::Auto), ("S1", Scheme::S1), ("S6", Scheme::S6), ("S2", Scheme::S2), ("S5", Scheme::S5)];

impl Pkcs11 {
    /// Puts values in the place of defaults that follow from other settings, and checks them.
    pub(in crate::config) fn resolve(&mut self, reader: &mut Reader) {
        let mut names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        names.sort();
        if let Some([twice, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            reader.error("pkcs11.environment", format!("{twice} is given twice"));
        }
        self.resolve_token(reader);
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

    /// What names the token: the URI, or label, serial number and slot.
    fn resolve_token(&mut self, reader: &mut Reader) {
        let given = ["pkcs11.label", "pkcs11.serial", "pkcs11.slot_id"].map(|key| reader.is_given(key));
        let [label, serial, _] = given;
        if !self.uri.is_empty() {
            if given.contains(&true) {
                reader
                    .error("pkcs11.uri", "it names the token: leave out pkcs11.label, .serial and .slot_id");
            }
            if let Err(reason) = pkcs11_uri::parse(&self.uri) {
                reader.error("pkcs11.uri", reason);
            }
        } else if self.slot_id.is_some() && !label && !serial {
            reader.error("pkcs11.slot_id", "a slot number changes: set pkcs11.label or pkcs11.serial, too");
        }
        if !self.serial.is_empty() && !label {
            self.label.clear();
        }
        if self.label.is_empty() && self.serial.is_empty() {
            reader.error("pkcs11.label", "pkcs11.label, pkcs11.serial or pkcs11.uri must name the token");
        }
    }

    /// How the token is found.
    pub fn selector(&self) -> TokenSelector {
        let named = |text: &String| Some(text).filter(|text| !text.is_empty()).cloned();
        let (label, serial) = (named(&self.label), named(&self.serial));
        let plain = TokenSelector { label, serial, slot: self.slot_id, ..TokenSelector::default() };
        // It was parsed when the settings were read.
        if self.uri.is_empty() { plain } else { pkcs11_uri::parse(&self.uri).unwrap_or(plain) }
    }

    /// Whether the module is SoftHSM's, by its file name.
    pub fn is_softhsm(&self) -> bool {
        self.module.file_name().is_some_and(|name| name.to_string_lossy().contains("softhsm"))
    }
}
