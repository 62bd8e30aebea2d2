//! What the whole process gives up before it touches a secret. Not for the sandbox, which the service puts on later.

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
