//! What the host gives the enclave: locked memory, swap, core files. Not for the token.

use rustix::process::{Resource, getrlimit};

use super::check::DiagnosticCheck;
use crate::arena::SecretMemory;

/// Locked memory, swap and core files.
pub(super) fn host(memory: SecretMemory) -> Vec<DiagnosticCheck> {
    let limit = |resource| {
        let soft = getrlimit(resource).current;
        (soft, soft.map_or("unlimited".to_owned(), |soft| format!("{soft} bytes")))
    };
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default().lines().count().saturating_sub(1);
    let secret = memory == SecretMemory::MemfdSecret;
    let (core, core_text) = limit(Resource::Core);
    vec![
        DiagnosticCheck {
            what: "scalars are in memory that no other process can read",
            passed: secret,
            fatal: false,
            found: if secret { "memfd_secret" } else { "locked pages: root can read them" }.into(),
        },
        DiagnosticCheck {
            what: "registers are wiped after each use of a scalar",
            passed: cfg!(target_arch = "x86_64"),
            fatal: false,
            found: std::env::consts::ARCH.into(),
        },
        DiagnosticCheck {
            what: "enough memory can be locked",
            passed: true,
            fatal: false,
            found: limit(Resource::Memlock).1,
        },
        DiagnosticCheck {
            what: "swap is off (SoftHSM locks none of its memory)",
            passed: swaps == 0,
            fatal: false,
            found: format!("{swaps} swap areas"),
        },
        DiagnosticCheck {
            what: "no core file is written",
            passed: core == Some(0),
            fatal: false,
            found: core_text,
        },
    ]
}
