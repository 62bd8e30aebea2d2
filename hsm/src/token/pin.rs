//! The PIN file: who may own and read it. Not for the PIN itself, which goes straight into guarded memory.

use std::path::Path;

use trusted_files::Readers;

use crate::arena::{Pin, PinReadError, SecretMemoryPolicy};
use crate::error::{OpenError, PinFileProblem};

/// Reads it once.
pub(crate) fn read(path: &Path, policy: SecretMemoryPolicy) -> Result<Pin, OpenError> {
    let refuse = |problem| OpenError::PinFile { path: path.to_owned(), problem };
    let mut file = trusted_files::open(path, Readers::Owner)
        .map_err(|error| refuse(PinFileProblem::Untrusted(error)))?;
    Pin::read(&mut file, policy).map_err(|error| match error {
        PinReadError::Empty => refuse(PinFileProblem::Empty),
        PinReadError::TooLong => refuse(PinFileProblem::TooLong),
        PinReadError::Io(error) => refuse(PinFileProblem::Unreadable(error)),
        PinReadError::Memory(error) => OpenError::Memory(error),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm)] // a failed unwrap is a failed test
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{CWD, FileType, Mode};
    use trusted_files::FileProblem;

    use super::*;

    fn problem(path: &Path) -> PinFileProblem {
        match read(path, SecretMemoryPolicy::PreferSecret).err().unwrap() {
            OpenError::PinFile { problem, path: named } => {
                assert_eq!(named, path);
                problem
            }
            other => panic!("{other}"),
        }
    }

    fn untrusted(path: &Path) -> FileProblem {
        match problem(path) {
            PinFileProblem::Untrusted(error) => error.problem,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn only_a_private_regular_file_with_one_line_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        assert!(matches!(untrusted(&path), FileProblem::Missing));
        for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
            write("1234567890\n", mode);
            assert!(matches!(untrusted(&path), FileProblem::Readable { .. } | FileProblem::Writable { .. }));
        }
        write("", 0o600);
        assert!(matches!(problem(&path), PinFileProblem::Empty));
        write("a\nb\n", 0o600);
        assert!(matches!(problem(&path), PinFileProblem::TooLong));
        assert!(matches!(untrusted(directory.path()), FileProblem::NotAFile));
        // No process writes to it: an open that waits would not end.
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(untrusted(&pipe), FileProblem::NotAFile));
        for mode in [0o600, 0o400] {
            write("1234567890\n", mode);
            assert!(read(&path, SecretMemoryPolicy::PreferSecret).is_ok());
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            test_report::skipped("needs root to give a file away");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        std::fs::write(&path, "1234567890\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
        assert!(matches!(untrusted(&path), FileProblem::Owner { owner: 4242, .. }));
    }
}
