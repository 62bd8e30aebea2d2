//! Walk from the root directory to a path, one component at a time: each directory and link on it is
//! checked, and no name is looked up twice.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};

use crate::error::{FileError, FileProblem};
use crate::trust::{Found, Trust};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Where a walk ended: a trusted directory, and the name in it that is not a link.
pub(crate) struct End {
    pub(crate) directory: OwnedFd,
    /// None: the directory itself was meant.
    pub(crate) name: Option<OsString>,
    /// The path without links.
    pub(crate) path: PathBuf,
}

/// Walks to what `path` names. Whether that exists, and whether it is trusted, is not checked yet.
pub(crate) fn walk(path: &Path, trust: &Trust) -> Result<End, FileError> {
    let absolute = std::path::absolute(path).map_err(|error| failed(path, error))?;
    let mut pending = components(&absolute);
    let root = open_directory(CWD, OsStr::new("/")).map_err(|error| failed(Path::new("/"), error))?;
    check(&root, trust).map_err(|problem| FileError { path: "/".into(), problem })?;
    let mut here = vec![(root, PathBuf::from("/"))];
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == ".." {
            if here.len() > 1 {
                here.pop();
            }
            continue;
        }
        let Some((directory, above)) = here.last() else { break };
        let path = above.join(&name);
        let found = match rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Found::from(stat),
            Err(rustix::io::Errno::NOENT) if pending.is_empty() => return end(here, Some(name), path),
            Err(error) => return Err(failed(&path, error.into())),
        };
        match found.kind {
            FileType::Symlink => {
                trust.owner(found).map_err(|problem| FileError { path: path.clone(), problem })?;
                links += 1;
                if links > MOST_LINKS {
                    return Err(failed(&path, rustix::io::Errno::LOOP.into()));
                }
                let target = rustix::fs::readlinkat(directory, &name, Vec::new());
                let target = target.map_err(|error| failed(&path, error.into()))?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    here.truncate(1);
                }
                pending.extend(components(&target));
            }
            FileType::Directory => {
                let opened = open_directory(directory, &name).map_err(|error| failed(&path, error))?;
                if pending.is_empty() {
                    return Ok(End { directory: opened, name: None, path });
                }
                check(&opened, trust).map_err(|problem| FileError { path: path.clone(), problem })?;
                here.push((opened, path));
            }
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                if pending.is_empty() {
                    return end(here, Some(name), path);
                }
                return Err(FileError { path, problem: FileProblem::NotADirectory });
            }
        }
    }
    let path = here.last().map(|(_, path)| path.clone()).unwrap_or_default();
    end(here, None, path)
}

fn end(mut here: Vec<(OwnedFd, PathBuf)>, name: Option<OsString>, path: PathBuf) -> Result<End, FileError> {
    match here.pop() {
        Some((directory, _)) => Ok(End { directory, name, path }),
        None => Err(failed(&path, io::ErrorKind::NotFound.into())),
    }
}

/// The names of a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

fn open_directory(directory: impl std::os::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

fn check(directory: &OwnedFd, trust: &Trust) -> Result<(), FileProblem> {
    let stat = rustix::fs::fstat(directory).map_err(|error| FileProblem::Io(error.into()))?;
    trust.passes(stat.into())
}

/// An error of the system as an error of that path.
pub(crate) fn failed(path: &Path, error: io::Error) -> FileError {
    let problem = if error.kind() == io::ErrorKind::NotFound {
        FileProblem::Missing
    } else if error.kind() == io::ErrorKind::NotADirectory {
        FileProblem::NotADirectory
    } else {
        FileProblem::Io(error)
    };
    FileError { path: path.to_owned(), problem }
}
