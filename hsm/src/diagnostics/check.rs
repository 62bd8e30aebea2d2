//! One line of the report. A leaf.

/// One thing that was asked of the slot or the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticCheck {
    /// What must hold, as a sentence.
    pub what: &'static str,
    /// Whether it does; false ones with `fatal` keep the enclave from opening.
    pub passed: bool,
    /// Whether the enclave cannot do without it.
    pub fatal: bool,
    /// What was found.
    pub found: String,
}
