//! Labels of the objects in the token, and the application they name. A leaf: all that searches or creates reads it.

/// `CKA_APPLICATION` of every data object that this program stores.
pub(crate) const APPLICATION: &str = "avs-kms/1";
/// Label of the key-encryption key, generation 1.
pub(crate) const KEK_LABEL: &str = "bn254-kek/1";
/// Label of the canary record of the key-encryption key's generation 1.
pub(crate) const CANARY_LABEL: &str = "bn254-canary/1";
/// Label of both halves of the key that signs the audit log's checkpoints.
pub(crate) const CHECKPOINT_KEY_LABEL: &str = "audit-checkpoint/1";
/// Label of the wrapped record of its seed, where it is in software.
pub(crate) const CHECKPOINT_SEED_LABEL: &str = "audit-checkpoint-seed/1";
/// Label of the audit log's anchor: normally one object, two after a crash during its replacement.
pub(crate) const ANCHOR_LABEL: &str = "audit-anchor/1";
/// Label of the wrapped record of the key that authenticates the rows of the store.
pub(crate) const STORE_KEY_LABEL: &str = "store-key/1";
/// Label of the lease of the process that uses the token: one object, more while another process asks for the token.
pub(crate) const LEASE_LABEL: &str = "lease/1";
/// Begins the label of a key's record; the key's id follows.
pub(crate) const KEY_PREFIX: &str = "bn254/";
/// Label of the data object by which `init` finds out whether the token takes data objects. It is destroyed at once.
pub(crate) const PROBE_LABEL: &str = "record-probe/1";
/// Begins every label of what a rehearsal of `init` makes. All of it is destroyed when the rehearsal ends, or by the next.
const REHEARSAL: &str = "rehearsal/";
/// Labels of the keys of an installation.
pub(crate) const KEYS: [&str; 2] = [KEK_LABEL, CHECKPOINT_KEY_LABEL];
/// Every label of a data object that is no key's.
pub(crate) const INTERNAL: [&str; 6] =
    [CANARY_LABEL, ANCHOR_LABEL, STORE_KEY_LABEL, CHECKPOINT_SEED_LABEL, PROBE_LABEL, LEASE_LABEL];

/// Whose objects are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Those of an installation.
    #[default]
    Installation,
    /// Those of a rehearsal of `init`.
    Rehearsal,
}

impl Naming {
    /// The label by which the object is found.
    pub(crate) fn label(self, label: &str) -> String {
        match self {
            Self::Installation => label.to_owned(),
            Self::Rehearsal => format!("{REHEARSAL}{label}"),
        }
    }
}
