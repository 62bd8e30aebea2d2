//! Landlock rules: the files that the process can use, and that it opens no new listener or connection.
//!
//! A rule belongs to the file or directory that its path names at start. After a directory was
//! replaced, the service must be restarted.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::error::SandboxError;
use super::settings::{Profile, Sandbox};

/// The newest version of Landlock that this list was written for. Older kernels enforce what they
/// know.
const KNOWN: ABI = ABI::V6;

/// For every profile: libraries and what they read when they are loaded or initialised again, the boot
/// id, the time zone. Not /proc: it would open this process's own memory.
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

/// For host names.
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
    Full,
    /// The part that an older kernel knows.
    Partial,
    /// Nothing: the kernel has no Landlock, or it is switched off.
    Missing,
    /// The sandbox is off.
    NotRequested,
}

impl Landlock {
    /// The state in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Full => "confined by Landlock",
            Self::Partial => "confined by the Landlock of an older kernel",
            Self::Missing => "not confined, the kernel has no Landlock",
            Self::NotRequested => "not confined",
        }
    }
}

/// For modules that look up who runs them (opencryptoki asks for its group). Every user of a host can read them.
const ACCOUNTS: [&str; 2] = ["/etc/passwd", "/etc/group"];

impl Sandbox {
    /// Whether a rule lets the process read this file, or write it.
    #[must_use]
    pub fn covers(&self, path: &Path, writes: bool) -> bool {
        let read = self.read.iter().cloned().chain(system(self));
        let granted = self.write.iter().cloned().chain(read.filter(|_| !writes));
        // A rule is for what a path names, whatever links lead there.
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let path = real(path);
        granted.into_iter().any(|rule| path.starts_with(real(&rule)))
    }
}

/// What every process reads, or every one of this profile.
fn system(sandbox: &Sandbox) -> impl Iterator<Item = PathBuf> + use<> {
    let (connects, network) = (connects(sandbox), sandbox.profile == Profile::Network);
    let names = NAMES.iter().filter(move |_| connects);
    let accounts = ACCOUNTS.iter().filter(move |_| network);
    SYSTEM.iter().chain(names).chain(accounts).map(PathBuf::from)
}

fn connects(sandbox: &Sandbox) -> bool {
    sandbox.connect || sandbox.profile == Profile::Network
}

pub(super) fn restrict(sandbox: &Sandbox) -> Result<Landlock, SandboxError> {
    let network =
        if connects(sandbox) { BitFlags::from(AccessNet::BindTcp) } else { AccessNet::from_all(KNOWN) };
    let reading = AccessFs::from_read(KNOWN) & !AccessFs::Execute;
    let writing = AccessFs::from_all(KNOWN)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let read = system(sandbox).chain(sandbox.read.iter().cloned());
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(network)?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        // A path that does not exist gets no rule; opening it fails later and names it.
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(&sandbox.write, writing))?
        .restrict_self()?;
    Ok(match restricted.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Partial,
        RulesetStatus::NotEnforced => Landlock::Missing,
    })
}
