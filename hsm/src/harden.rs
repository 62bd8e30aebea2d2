//! What the whole process gives up before it touches a secret, and how it ends. Not for the sandbox, which the service
//! puts on later.
#![allow(unsafe_code)] // ending a process without exit handlers

use std::io::Write;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes the process undumpable and forbids core files; to be called first in `main`.
///
/// Other users lose `/proc/<pid>/mem` and `maps`; root keeps them, which is why scalars are in `memfd_secret` memory.
///
/// # Errors
/// What the kernel said.
pub fn harden_process() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Ends the process at once, without the exit handlers of a loaded PKCS#11 module: some of them crash or hang after a
/// clean C_Finalize. Whatever must be written has been written and synced before.
pub fn end_process(status: u8) -> ! {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: `_exit` takes any number, returns never and touches no memory of this process.
    unsafe { libc::_exit(i32::from(status)) }
}
