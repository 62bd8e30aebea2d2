//! Sandbox of the service process: privileges, files (Landlock), system calls (seccomp).
//!
//! Two steps, because the kernel has two scopes. A thread inherits privileges and Landlock rules from
//! the thread that starts it, so [`Sandbox::confine`] runs before the first thread and before the
//! login to the token. A system call filter applies to all threads at once, so [`Confined::filter`]
//! runs last, when everything is open and bound. A leaf that gets plain values.
//! Not for: core files and debuggers, which `hsm` forbids for every command that sees a PIN.

mod calls;
mod error;
mod files;
mod privileges;
mod settings;

pub use self::error::SandboxError;
pub use self::files::Landlock;
pub use self::privileges::drop_privileges;
pub use self::settings::{Profile, Sandbox};

/// Proof of the first step; the second step consumes it.
#[derive(Debug)]
#[must_use]
pub struct Confined {
    profile: Profile,
    connect: bool,
    landlock: Landlock,
}

impl Sandbox {
    /// Drops privileges and restricts files, for this thread and every thread that it will start.
    ///
    /// # Errors
    /// [`SandboxError`]. A kernel without Landlock is no error: the second step logs it.
    pub fn confine(&self) -> Result<Confined, SandboxError> {
        let landlock = if self.profile == Profile::Off {
            Landlock::NotRequested
        } else {
            drop_privileges()?;
            files::restrict(self)?
        };
        Ok(Confined { profile: self.profile, connect: self.connect, landlock })
    }
}

impl Confined {
    /// Applies the system call filters to every thread of the process.
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
            Landlock::NotRequested => tracing::warn!(
                "sandbox.mode is \"off\": the process keeps its privileges, files and system calls"
            ),
            Landlock::Missing => tracing::warn!("the kernel has no Landlock: files are not confined"),
            Landlock::Full | Landlock::Partial => {}
        }
        let (profile, files) = (self.profile.name(), self.landlock.describe());
        tracing::info!("the sandbox is closed: profile {profile}, files: {files}");
        Ok(())
    }
}

/// Tries both steps on a thread that ends afterwards, for `doctor`.
pub fn probe() -> (Result<Landlock, SandboxError>, Result<(), SandboxError>) {
    let nothing = Sandbox { profile: Profile::Softhsm, read: Vec::new(), write: Vec::new(), connect: false };
    let on_a_thread = std::thread::spawn(move || {
        let filtered = || {
            calls::programs(Profile::Softhsm, false)?
                .iter()
                .try_for_each(|program| seccompiler::apply_filter(program).map_err(SandboxError::Filter))
        };
        (files::restrict(&nothing), filtered())
    });
    let panicked = |_| {
        (
            Ok(Landlock::Missing),
            Err(SandboxError::Privileges(std::io::Error::other("the probe thread panicked"))),
        )
    };
    on_a_thread.join().unwrap_or_else(panicked)
}
