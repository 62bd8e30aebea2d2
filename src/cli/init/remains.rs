//! What a data directory without a store holds: nothing, parts of an installation, or files of others.
//!
//! Parts may be all that is left of keys, so no message here advises to remove them. Not for: reading them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::cli::error::CliError;
use crate::config::Configuration;

/// The journal of an `init` (`attempt`).
pub(in crate::cli) const JOURNAL: &str = "init.json";
/// Locks, the local socket, and what the service remembers of refused PINs: no data.
const NO_DATA: [&str; 6] = ["lock", "token.lock", "pin-refused", "admin.sock", "lost+found", REHEARSAL];
/// The token of a rehearsal of `init`, which `doctor` makes and removes.
pub(in crate::cli) const REHEARSAL: &str = "rehearsal";
/// What an installation is made of beside `store.sqlite`.
const PARTS: [&str; 6] =
    ["audit", "token", "backup", "store.sqlite-wal", "store.sqlite-shm", "store.reserve"];

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Remains {
    Nothing,
    /// What an `init` left that was interrupted, with its journal.
    Interrupted,
    /// Names of parts of an installation, sorted.
    Parts(Vec<String>),
    /// The name of a file that is none of ours.
    Foreign(String),
}

impl Remains {
    /// Looks into the data directory of this configuration; one that does not exist holds nothing.
    pub(in crate::cli) fn of(configuration: &Configuration) -> io::Result<Self> {
        // The administrator stores the PIN of an HSM before init; that of SoftHSM is made with its token.
        let is_made = configuration.pkcs11.softhsm_conf.is_some();
        Self::in_directory(&configuration.data.directory, (&configuration.pkcs11.pin_file, is_made))
    }

    fn in_directory(directory: &Path, (pin, is_made): (&Path, bool)) -> io::Result<Self> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        if directory.join(JOURNAL).symlink_metadata().is_ok() {
            return Ok(Self::Interrupted);
        }
        let mut parts = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path() == pin {
                parts.extend(is_made.then_some(name));
            } else if PARTS.contains(&name.as_str()) {
                parts.push(name);
            } else if !NO_DATA.contains(&name.as_str()) && !is_transient(&name) {
                return Ok(Self::Foreign(name));
            }
        }
        parts.sort();
        Ok(if parts.is_empty() { Self::Nothing } else { Self::Parts(parts) })
    }

    /// What to tell an operator who starts a command that needs the store.
    fn without_store(&self, directory: &Path) -> String {
        let directory = directory.display();
        match self {
            Self::Nothing => {
                format!(
                    "{directory} is not a data directory; create it with `avs-kms --data {directory} init`"
                )
            }
            Self::Interrupted => format!(
                "{directory} is not a data directory: an init of it was interrupted. Run `avs-kms init` again: it removes \
                 what that one left"
            ),
            Self::Parts(parts) => format!(
                "{directory} is not a data directory: store.sqlite is missing, but here are {}: {}",
                parts.join(", "),
                KEEP_AND_RESTORE
            ),
            Self::Foreign(name) => format!(
                "{directory} is not a data directory: it has {name}. Name the right one with --data or data.directory"
            ),
        }
    }

    /// Why `init` refuses; none where it may go on.
    pub(in crate::cli) fn refusal(&self, directory: &Path) -> Option<String> {
        let shown = directory.display();
        match self {
            Self::Nothing | Self::Interrupted => None,
            Self::Parts(parts) => Some(format!(
                "{shown} holds parts of an installation ({}) and no store.sqlite; nothing was changed: {}. Where an \
                 earlier init was interrupted, move the directory aside and run init again",
                parts.join(", "),
                KEEP_AND_RESTORE
            )),
            Self::Foreign(name) => Some(format!(
                "{shown} is not empty (it has {name}); nothing was changed: name a directory that is new or empty"
            )),
        }
    }
}

/// Whether a file of this name was about to get its name when the process died.
pub(super) fn is_transient(name: &str) -> bool {
    // As `trusted_files::AtomicFile` names them, and what SQLite has beside one.
    let Some((_, random)) = name.split_once(".new").and_then(|(begin, _)| begin.rsplit_once('.')) else {
        return false;
    };
    random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const KEEP_AND_RESTORE: &str = "they may be the only copy of your keys. Keep them, find where store.sqlite went, or \
                                restore the newest backup into a new directory with `avs-kms restore`";

/// What to tell an operator whose command could not open the store. Where it is there: what failed.
pub(in crate::cli) fn explain_missing(configuration: &Configuration, failed: CliError) -> CliError {
    let directory = &configuration.data.directory;
    match configuration.data.store().try_exists() {
        Ok(true) => failed,
        Ok(false) => match Remains::of(configuration) {
            Ok(remains) => CliError::new(remains.without_store(directory)),
            Err(_) => failed,
        },
        Err(_) => {
            let owner = fs::metadata(directory)
                .map_or("another user".to_owned(), |found| format!("the user with uid {}", found.uid()));
            failed.with_hint(&format!("the data directory belongs to {owner}: run the command as that user"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn locks_parts_of_an_installation_and_files_of_others_are_three_things() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("var");
        let pin = directory.join("pin");
        let found = || Remains::in_directory(&directory, (&pin, false)).unwrap();
        assert_eq!(found(), Remains::Nothing);
        fs::create_dir(&directory).unwrap();
        for name in ["lock", "token.lock", "pin"] {
            fs::write(directory.join(name), "").unwrap();
        }
        assert_eq!((found(), found().refusal(&directory)), (Remains::Nothing, None));
        for part in ["token", "audit"] {
            fs::create_dir(directory.join(part)).unwrap();
        }
        assert_eq!(found(), Remains::Parts(vec!["audit".to_owned(), "token".to_owned()]));
        for said in [found().refusal(&directory).unwrap(), found().without_store(&directory)] {
            assert!(said.contains("audit, token") && said.contains("restore"), "{said}");
            assert!(!said.contains("remove") && !said.contains("create it"), "{said}");
        }
        fs::write(directory.join("thesis.tex"), "").unwrap();
        assert_eq!(found(), Remains::Foreign("thesis.tex".to_owned()));
        assert!(!found().refusal(&directory).unwrap().contains("remove"));
    }
}
