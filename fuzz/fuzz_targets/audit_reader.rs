//! Any bytes where the audit log's readers look: no panic, and no record that was never written.
#![no_main]

#[path = "../../audit-log/tests/log/support/any_bytes.rs"]
mod any_bytes;

use std::sync::LazyLock;

static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| any_bytes::read(DIRECTORY.path(), data));
