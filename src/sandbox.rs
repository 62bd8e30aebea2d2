//! What the serving process gives up: privileges, files, system calls. A leaf that gets plain values.
//!
//! Two steps, because the kernel has two scopes. Privileges and Landlock belong to a thread and pass to the threads that
//! it starts: [`Sandbox::confine`] runs before the first one is started, before the token is logged in. The system call
//! filter can be put on all threads at once: [`Confined::filter`] runs last, when everything is open and bound.
//! Not for: core files and debuggers, which `hsm` forbids for every command that sees a PIN.

mod calls;
mod files;
mod privileges;

use std::path::PathBuf;

pub use files::Landlock;
pub use privileges::drop_privileges;

/// What a kind of token needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Files only.
    Softhsm,
    /// Sockets too: the module of an HSM behind a network, a device or a daemon.
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
    /// Files, and directories with all below them, that are read.
    pub read: Vec<PathBuf>,
    /// Files, and directories with all below them, that are read, written, made and removed.
    pub write: Vec<PathBuf>,
    /// Whether the service itself opens connections (webhooks, JSON-RPC), names looked up.
    pub connect: bool,
}

/// Why the process could not be confined; it must not serve then.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel did not take the privileges.
    #[error("privileges could not be dropped")]
    Privileges(#[source] std::io::Error),
    /// The kernel has Landlock and refused the rules.
    #[error("the Landlock rules were refused")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel refused the filter.
    #[error("the system call filter was refused; enclave.sandbox = \"off\" runs without")]
    Filter(#[source] seccompiler::Error),
    /// No filter can be made for this processor.
    #[error("there is no system call filter for this processor; enclave.sandbox = \"off\" runs without")]
    Processor(#[source] seccompiler::BackendError),
}

/// Proof of the first step: only who has it can take the second.
#[derive(Debug)]
#[must_use]
pub struct Confined {
    profile: Profile,
    connect: bool,
    landlock: Landlock,
}

impl Sandbox {
    /// Drops privileges and closes the file system, for this thread and all that it will start.
    ///
    /// # Errors
    /// [`SandboxError`]. A kernel without Landlock is none: the second step logs it.
    pub fn confine(&self) -> Result<Confined, SandboxError> {
        let landlock = if self.profile == Profile::Off {
            Landlock::NotAsked
        } else {
            drop_privileges()?;
            files::close(self)?
        };
        Ok(Confined { profile: self.profile, connect: self.connect, landlock })
    }
}

impl Confined {
    /// Puts the system call filters on every thread of the process.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn filter(self) -> Result<(), SandboxError> {
        if self.profile != Profile::Off {
            for program in calls::programs(self.profile, self.connect)? {
                seccompiler::apply_filter_all_threads(&program).map_err(SandboxError::Filter)?;
            }
        }
        match self.landlock {
            Landlock::NotAsked => tracing::warn!(
                "enclave.sandbox is \"off\": the process keeps its privileges, files and system calls"
            ),
            Landlock::Missing => tracing::warn!("the kernel has no Landlock: files are not confined"),
            Landlock::Whole | Landlock::Partly => {}
        }
        tracing::info!(profile = self.profile.name(), landlock = ?self.landlock, "the sandbox is closed");
        Ok(())
    }
}

/// What this kernel can do, tried on threads that end with it; for `doctor`.
pub fn probe() -> (Result<Landlock, SandboxError>, Result<(), SandboxError>) {
    let nothing = Sandbox { profile: Profile::Softhsm, read: Vec::new(), write: Vec::new(), connect: false };
    let on_a_thread = std::thread::spawn(move || {
        let filtered = || {
            calls::programs(Profile::Softhsm, false)?
                .iter()
                .try_for_each(|program| seccompiler::apply_filter(program).map_err(SandboxError::Filter))
        };
        (files::close(&nothing), filtered())
    });
    let died =
        |_| (Ok(Landlock::Missing), Err(SandboxError::Privileges(std::io::Error::other("the probe died"))));
    on_a_thread.join().unwrap_or_else(died)
}
