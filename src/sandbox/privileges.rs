//! Removal of capabilities and of new privileges. A service of root then obeys file modes: SoftHSM cannot
//! rewrite a read-only `token.object` at login.

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use super::error::SandboxError;

/// Removes them from this thread and every thread that it will start. Can be repeated.
///
/// # Errors
/// [`SandboxError::Privileges`].
pub fn drop_privileges() -> Result<(), SandboxError> {
    let dropped = || {
        set_no_new_privs(true)?;
        // Needs CAP_SETPCAP. Without it the set gives nothing either, after the line above.
        for capability in CapabilitySet::all().iter() {
            let _ = remove_capability_from_bounding_set(capability);
        }
        let _ = clear_ambient_capability_set(); // unknown to old kernels; empty once the permitted set is
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
    };
    dropped().map_err(|error| SandboxError::Privileges(error.into()))
}
