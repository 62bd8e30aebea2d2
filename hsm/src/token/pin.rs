//! The PIN file: who may own and read it. Not for the PIN itself, which goes straight into guarded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::arena::{Pin, PinReadError, SecretMemoryPolicy};
use crate::error::{OpenError, PinFileProblem};

/// Checks the open file, not its name, then reads it once.
pub(crate) fn read(path: &Path, policy: SecretMemoryPolicy) -> Result<Pin, OpenError> {
    let refuse = |problem| OpenError::PinFile { path: path.to_owned(), problem };
    // A pipe would block here for ever, so look before opening; what counts is checked again after it.
    let (looked, mut file) = match std::fs::metadata(path).map(|looked| (looked, File::open(path))) {
        Ok((looked, Ok(file))) if looked.is_file() => (looked, file),
        Ok((looked, _)) if !looked.is_file() => return Err(refuse(PinFileProblem::NotAFile)),
        Ok((_, Err(error))) | Err(error) => return Err(refuse(unreadable(error))),
        Ok((_, Ok(_))) => return Err(refuse(PinFileProblem::NotAFile)),
    };
    let found = file.metadata().map_err(|error| refuse(unreadable(error)))?;
    if !found.is_file() || found.ino() != looked.ino() {
        return Err(refuse(PinFileProblem::NotAFile));
    }
    if found.mode() & 0o077 != 0 {
        return Err(refuse(PinFileProblem::Permissions { mode: found.mode() & 0o7777 }));
    }
    let owner = found.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(refuse(PinFileProblem::Owner { owner }));
    }
    Pin::read(&mut file, policy).map_err(|error| match error {
        PinReadError::Empty => refuse(PinFileProblem::Empty),
        PinReadError::TooLong => refuse(PinFileProblem::TooLong),
        PinReadError::Io(error) => refuse(unreadable(error)),
        PinReadError::Memory(error) => OpenError::Memory(error),
    })
}

fn unreadable(error: io::Error) -> PinFileProblem {
    if error.kind() == io::ErrorKind::NotFound {
        PinFileProblem::Missing
    } else {
        PinFileProblem::Unreadable(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm)] // a failed unwrap is a failed test
    use std::os::unix::fs::PermissionsExt;

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

    #[test]
    fn only_a_private_regular_file_with_one_line_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        assert!(matches!(problem(&path), PinFileProblem::Missing));
        for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
            write("1234567890\n", mode);
            assert!(matches!(problem(&path), PinFileProblem::Permissions { mode: seen } if seen == mode));
        }
        write("", 0o600);
        assert!(matches!(problem(&path), PinFileProblem::Empty));
        write("a\nb\n", 0o600);
        assert!(matches!(problem(&path), PinFileProblem::TooLong));
        assert!(matches!(problem(directory.path()), PinFileProblem::NotAFile));
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
        assert!(matches!(problem(&path), PinFileProblem::Owner { owner: 4242 }));
    }
}
