//! Error of the sandbox.

/// Why the process could not be confined. The service must not run then.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel refused to drop the privileges.
    #[error("privileges could not be dropped")]
    Privileges(#[source] std::io::Error),
    /// The kernel has Landlock and refused the rules.
    #[error("the kernel refused the Landlock rules")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel refused the filter.
    #[error("the kernel refused the system call filter; sandbox.mode = \"off\" runs without it")]
    Filter(#[source] seccompiler::Error),
    /// No filter can be made for this processor.
    #[error("there is no system call filter for this processor; sandbox.mode = \"off\" runs without it")]
    Processor(#[source] seccompiler::BackendError),
}
