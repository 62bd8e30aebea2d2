//! Errors of a file that is not trusted: what is wrong with which path, and the command that repairs it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}", tell(.path, .problem))]
pub struct FileError {
    /// The file, or the directory or link on the way to it, that has the problem.
    pub path: PathBuf,
    /// What is wrong with it. The message says it, so it is no source.
    pub problem: FileProblem,
}

/// What is wrong with a file, directory or link.
#[derive(Debug)]
pub enum FileProblem {
    /// There is nothing of this name.
    Missing,
    /// It is a directory, a pipe, a socket or a device.
    NotAFile,
    /// It is not a directory.
    NotADirectory,
    /// It belongs to a user that is neither root nor the one of this process.
    Owner {
        /// Its user id.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// The user id of this process.
        user: u32,
    },
    /// Users other than root and the one of this process can write it.
    Writable {
        /// Its user id.
        owner: u32,
        /// Its group id.
        group: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Users other than root and the one of this process can read it.
    Readable {
        /// Its user id.
        owner: u32,
        /// Its group id.
        group: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It has more bytes than are allowed.
    TooLong {
        /// The most that is allowed.
        most: usize,
    },
    /// The system refuses.
    Io(io::Error),
}

impl Display for FileProblem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::NotADirectory => f.write_str("it is not a directory"),
            Self::Owner { owner, mode, user: 0 } => {
                write!(f, "user {owner} owns it (mode {mode:04o}); it must belong to root")
            }
            Self::Owner { owner, mode, user } => {
                write!(f, "user {owner} owns it (mode {mode:04o}); it must belong to root or user {user}")
            }
            Self::Writable { owner, group, mode } if mode & 0o002 != 0 => {
                write!(f, "every user can write it (owner {owner}, group {group}, mode {mode:04o})")
            }
            Self::Writable { owner, group, mode } => {
                write!(f, "its group can write it (owner {owner}, group {group}, mode {mode:04o})")
            }
            Self::Readable { owner, group, mode } => {
                write!(f, "other users can read it (owner {owner}, group {group}, mode {mode:04o})")
            }
            Self::TooLong { most } => write!(f, "it is longer than {most} bytes"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// The problem with its path, and what to do.
fn tell(path: &std::path::Path, problem: &FileProblem) -> String {
    let path = path.display();
    let cure = match problem {
        FileProblem::Owner { user: 0, .. } => {
            format!("check its content, then run `chown root {path}`, or run this command as its owner")
        }
        FileProblem::Owner { user, .. } => format!("check its content, then run `chown {user} {path}`"),
        FileProblem::Writable { mode, .. } if mode & 0o002 == 0 => {
            format!("check its content, then run `chmod g-w {path}`")
        }
        FileProblem::Writable { .. } => format!("check its content, then run `chmod go-w {path}`"),
        FileProblem::Readable { .. } => format!("run `chmod 0600 {path}`"),
        FileProblem::Missing
        | FileProblem::NotAFile
        | FileProblem::NotADirectory
        | FileProblem::TooLong { .. }
        | FileProblem::Io(_) => return format!("{path} cannot be used: {problem}"),
    };
    format!("{path} is not safe to use: {problem}; {cure}")
}
