//! Opening of files and directories that no other user can change.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{FileError, FileProblem};
use crate::trust::{Readers, Trust};
use crate::walk::{End, failed, walk};

/// Opens a regular file for reading: it, each directory and each link on the way belong to root or to
/// the user of this process, and no other user can write them. Never waits for a pipe.
///
/// # Errors
/// [`FileError`]; nothing was read.
pub fn open(path: &Path, readers: Readers) -> Result<File, FileError> {
    let trust = Trust::of_this_process();
    let end = walk(path, &trust)?;
    open_end(&end, &trust, readers)
}

/// Reads a secret of at most `most` bytes into a buffer of that size, which does not grow: the caller
/// wipes it. Gives the number of bytes.
///
/// # Errors
/// [`FileError`], also where the file is longer.
pub fn read_secret(path: &Path, readers: Readers, buffer: &mut [u8]) -> Result<usize, FileError> {
    let mut file = open(path, readers)?;
    let mut length = 0;
    while let Some(free) = buffer.get_mut(length..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => return Ok(length),
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(path, error)),
        }
    }
    let most = buffer.len();
    match file.read(&mut [0; 1]) {
        Ok(0) => Ok(length),
        Ok(_) => Err(FileError { path: path.to_owned(), problem: FileProblem::TooLong { most } }),
        Err(error) => Err(failed(path, error)),
    }
}

/// Opens a file to append to, and creates it where it is missing: not through a link at its name, and
/// not one that another user owns or can write. The caller answers for the directory.
///
/// # Errors
/// [`FileError`]; nothing was written.
pub fn open_append(path: &Path, mode: u32) -> Result<File, FileError> {
    open_or_create(path, OFlags::RDWR | OFlags::APPEND, mode)
}

/// Opens a file for reading and writing as [`open_append`] does. Its content is kept, and a new one is
/// for its owner alone.
///
/// # Errors
/// [`FileError`].
pub fn open_update(path: &Path) -> Result<File, FileError> {
    open_or_create(path, OFlags::RDWR, 0o600)
}

fn open_or_create(path: &Path, flags: OFlags, mode: u32) -> Result<File, FileError> {
    let flags = flags | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
            return Err(FileError { path: path.to_owned(), problem: FileProblem::NotAFile });
        }
        Err(error) => return Err(failed(path, error.into())),
    };
    check(&file, path, &Trust::of_this_process(), Readers::Everyone)?;
    Ok(file)
}

/// Refuses a directory in which another user can change or create files, and each one on the way to
/// it in which another user can exchange it.
///
/// # Errors
/// [`FileError`].
pub fn check_directory(path: &Path) -> Result<(), FileError> {
    let trust = Trust::of_this_process();
    let End { directory, name, path } = walk(path, &trust)?;
    if let Some(name) = name {
        let there = rustix::fs::statat(&directory, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        let problem = if there.is_ok() { FileProblem::NotADirectory } else { FileProblem::Missing };
        return Err(FileError { path, problem });
    }
    let stat = rustix::fs::fstat(&directory).map_err(|error| failed(&path, error.into()))?;
    trust.directory(stat.into()).map_err(|problem| FileError { path, problem })
}

fn open_end(end: &End, trust: &Trust, readers: Readers) -> Result<File, FileError> {
    let Some(name) = &end.name else {
        return Err(FileError { path: end.path.clone(), problem: FileProblem::NotAFile });
    };
    // A pipe would wait for its writer, a socket cannot be opened, and a device may act on it.
    let before = rustix::fs::statat(&end.directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| failed(&end.path, error.into()))?;
    trust.file(before.into(), readers).map_err(|problem| FileError { path: end.path.clone(), problem })?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::openat(&end.directory, name, flags, Mode::empty());
    let file = File::from(file.map_err(|error| failed(&end.path, error.into()))?);
    check(&file, &end.path, trust, readers)?;
    Ok(file)
}

/// Checks what is open, not what a name meant before.
fn check(file: &File, path: &Path, trust: &Trust, readers: Readers) -> Result<(), FileError> {
    let stat = rustix::fs::fstat(file).map_err(|error| failed(path, error.into()))?;
    trust.file(stat.into(), readers).map_err(|problem| FileError { path: path.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn file(&self, name: &str, mode: u32) -> PathBuf {
            std::fs::write(self.path(name), name).unwrap();
            self.mode(name, mode)
        }

        fn directory(&self, name: &str, mode: u32) -> PathBuf {
            std::fs::create_dir(self.path(name)).unwrap();
            self.mode(name, mode)
        }

        fn mode(&self, name: &str, mode: u32) -> PathBuf {
            std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
            self.path(name)
        }
    }

    fn problem(result: Result<impl Sized, FileError>, path: &Path) -> FileProblem {
        let error = result.err().unwrap();
        assert_eq!(error.path, path, "{error}");
        error.problem
    }

    fn secret(path: &Path) -> Result<String, FileError> {
        let mut buffer = [0; 32];
        let length = read_secret(path, Readers::Owner, &mut buffer)?;
        Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
    }

    #[test]
    fn a_secret_is_a_private_regular_file_and_nothing_else_is_waited_for() {
        let place = Place::new();
        assert_eq!(secret(&place.file("pin", 0o600)).unwrap(), "pin");
        for mode in [0o640, 0o604, 0o644, 0o610] {
            let path = place.mode("pin", mode);
            assert!(matches!(problem(secret(&path), &path), FileProblem::Readable { .. }), "{mode:o}");
        }
        for mode in [0o620, 0o602, 0o666] {
            let path = place.mode("pin", mode);
            assert!(matches!(problem(secret(&path), &path), FileProblem::Writable { .. }), "{mode:o}");
        }
        let pipe = place.path("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        for path in [pipe, place.directory("directory", 0o700)] {
            assert!(matches!(problem(secret(&path), &path), FileProblem::NotAFile));
            assert!(open_append(&path, 0o600).is_err() && open_update(&path).is_err());
        }
        let path = place.path("absent");
        assert!(matches!(problem(secret(&path), &path), FileProblem::Missing));
        let path = place.path("absent/pin");
        assert!(matches!(problem(secret(&path), &place.path("absent")), FileProblem::Missing));
        let path = place.file("a name that is longer than the buffer", 0o600);
        assert!(matches!(problem(secret(&path), &path), FileProblem::TooLong { most: 32 }));
    }

    #[test]
    fn a_link_is_followed_where_it_and_its_way_are_trusted() {
        let place = Place::new();
        // As Kubernetes mounts a secret, and as certbot keeps its certificates.
        place.directory("..2026", 0o755);
        place.file("..2026/pin", 0o600);
        symlink("..2026", place.path("..data")).unwrap();
        symlink("..data/pin", place.path("pin")).unwrap();
        assert_eq!(secret(&place.path("pin")).unwrap(), "..2026/pin");
        place.directory("archive", 0o755);
        place.file("archive/key1.pem", 0o600);
        place.directory("live", 0o700);
        symlink("../archive/key1.pem", place.path("live/key.pem")).unwrap();
        assert_eq!(secret(&place.path("live/key.pem")).unwrap(), "archive/key1.pem");
        assert_eq!(secret(&place.path("live/../archive/./key1.pem")).unwrap(), "archive/key1.pem");
        symlink(place.path("archive/key1.pem"), place.path("absolute")).unwrap();
        assert_eq!(secret(&place.path("absolute")).unwrap(), "archive/key1.pem");
        // A directory on the way that others write, reached by the link alone.
        let path = place.mode("archive", 0o777);
        assert!(matches!(problem(secret(&place.path("live/key.pem")), &path), FileProblem::Writable { .. }));
        place.mode("archive", 0o1777);
        secret(&place.path("live/key.pem")).unwrap();
        symlink("loop", place.path("loop")).unwrap();
        assert!(matches!(problem(secret(&place.path("loop")), &place.path("loop")), FileProblem::Io(_)));
        for opened in [open_append(&place.path("absolute"), 0o600), open_update(&place.path("absolute"))] {
            assert!(matches!(problem(opened, &place.path("absolute")), FileProblem::NotAFile));
        }
    }

    #[test]
    fn a_directory_that_others_write_is_refused_wherever_it_is_on_the_way() {
        let place = Place::new();
        place.directory("above", 0o755);
        place.directory("above/data", 0o700);
        place.file("above/data/pin", 0o600);
        check_directory(&place.path("above/data")).unwrap();
        for (name, mode) in [("above", 0o777), ("above/data", 0o777), ("above/data", 0o1777)] {
            let path = place.mode(name, mode);
            let found = problem(check_directory(&place.path("above/data")), &path);
            assert!(matches!(found, FileProblem::Writable { .. }), "{name} {mode:o}");
            // With the sticky bit no other user exchanges a file there, so one of ours is believed.
            assert_eq!(secret(&place.path("above/data/pin")).is_ok(), mode & 0o1000 != 0);
            place.mode(name, 0o755);
        }
        check_directory(&place.path("above/data/..")).unwrap();
        let path = place.path("above/data/pin");
        assert!(matches!(problem(check_directory(&path), &path), FileProblem::NotADirectory));
        let path = place.path("above/absent");
        assert!(matches!(problem(check_directory(&path), &path), FileProblem::Missing));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused_with_owner_mode_and_cure() {
        if !rustix::process::geteuid().is_root() {
            test_report::skipped("needs root to give a file away");
            return;
        }
        let place = Place::new();
        place.directory("theirs", 0o755);
        place.file("theirs/module.so", 0o644);
        chown(place.path("theirs"), Some(4242), None).unwrap();
        let error = open(&place.path("theirs/module.so"), Readers::Everyone).unwrap_err();
        assert_eq!(error.path, place.path("theirs"));
        let told = error.to_string();
        assert!(["4242", "0755", "root"].iter().all(|part| told.contains(part)), "{told}");
        let path = place.file("pin", 0o600);
        chown(&path, Some(4242), None).unwrap();
        let told = secret(&path).unwrap_err().to_string();
        assert!(
            told.contains("user 4242") && told.contains(&format!("chown root {}", path.display())),
            "{told}"
        );
        open_append(&path, 0o600).unwrap_err();
        // A link of another user in a directory that all users write.
        place.file("ours", 0o600);
        place.directory("shared", 0o1777);
        symlink(place.path("ours"), place.path("shared/link")).unwrap();
        secret(&place.path("shared/link")).unwrap();
        std::os::unix::fs::lchown(place.path("shared/link"), Some(4242), None).unwrap();
        let found = problem(secret(&place.path("shared/link")), &place.path("shared/link"));
        assert!(matches!(found, FileProblem::Owner { owner: 4242, .. }));
    }
}
