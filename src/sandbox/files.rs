//! Landlock: which files exist for the process, and that it neither listens nor connects anew. Rules bind to what the
//! paths name now: who replaces a whole directory later must restart the service.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::{Profile, Sandbox, SandboxError};

/// The newest set of rights that this list was thought through for; older kernels enforce what they know.
const KNOWN: ABI = ABI::V6;

/// For every profile: libraries and what they read when they are loaded or initialised again, this boot's name, the
/// time zone. Not /proc: it would open this process's own memory.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/pkcs11",
    "/etc/localtime",
    "/proc/sys",
    "/dev/urandom",
    "/dev/random",
    "/dev/null",
];

/// To look up names.
const NAMES: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/services",
    "/run/systemd/resolve",
];

/// How much of it the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock {
    /// All of it.
    Whole,
    /// What an older kernel knows.
    Partly,
    /// Nothing: the kernel has none, or it is switched off.
    Missing,
    /// The sandbox is off.
    NotAsked,
}

pub(super) fn close(sandbox: &Sandbox) -> Result<Landlock, SandboxError> {
    let connects = sandbox.connect || sandbox.profile == Profile::Network;
    let network = if connects { BitFlags::from(AccessNet::BindTcp) } else { AccessNet::from_all(KNOWN) };
    let reading = AccessFs::from_read(KNOWN) & !AccessFs::Execute;
    let writing = AccessFs::from_all(KNOWN)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let system = SYSTEM.iter().map(Path::new).chain(NAMES.iter().filter(|_| connects).map(Path::new));
    let read = system.chain(sandbox.read.iter().map(PathBuf::as_path));
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(network)?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        // A path that is not there gets no rule; whoever opens it says that it is missing.
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(&sandbox.write, writing))?
        .restrict_self()?;
    Ok(match restricted.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Whole,
        RulesetStatus::PartiallyEnforced => Landlock::Partly,
        RulesetStatus::NotEnforced => Landlock::Missing,
    })
}
