//! Places of a restore: each target is unpacked beside itself, so that a rename moves it into place on its own file
//! system. The store comes last: a start refuses a directory without one.
//!
//! A journal in the data directory names the targets before anything is unpacked. While it is there and the store is
//! not, all that is at the targets came from the interrupted restore, and the next one removes it. So a process
//! that dies leaves nothing that is used, or everything. Not for: what is in the archive (`restore`).

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::BackupError;
use super::{BackupPaths, archive};

/// The journal, in the data directory.
pub const JOURNAL: &str = "restore.json";

/// The name of the store in the archive.
const STORE: &str = "store.sqlite";

/// What a restore makes, the store last.
pub(super) struct Staging {
    journal: PathBuf,
    targets: Vec<Target>,
}

struct Target {
    /// The first component of its entries' names.
    name: &'static str,
    place: Place,
}

/// Where a target goes, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: PathBuf,
    /// It was an empty directory, a mount point perhaps: the content moves, the directory stays.
    was_directory: bool,
}

impl Staging {
    /// Removes what an interrupted restore left, and makes empty places for this one. The caller holds the lock of the
    /// data directory.
    pub(super) fn begin(data: &Path, paths: &BackupPaths) -> Result<Self, BackupError> {
        let named =
            [("token", paths.token.as_ref()), ("audit", Some(&paths.audit)), (STORE, Some(&paths.store))];
        let journal = data.join(JOURNAL);
        let known = named.into_iter().filter_map(|(name, path)| Some((name, path?)));
        sweep(&journal, known.clone())?;
        let mut targets = Vec::new();
        for (name, path) in known {
            let path = std::path::absolute(path).map_err(BackupError::io(path))?;
            let was_directory = name != STORE && is_empty_directory(&path)?;
            if !was_directory && path.symlink_metadata().is_ok() {
                return Err(BackupError::Exists(path));
            }
            targets.push(Target { name, place: Place { path, was_directory } });
        }
        let staging = Self { journal, targets };
        for Target { place, .. } in &staging.targets {
            // What is there already is neither ours nor empty.
            let stage = place.stage();
            if stage.symlink_metadata().is_ok() {
                return Err(BackupError::Exists(stage));
            }
        }
        staging.write_journal()?;
        staging.make_stages().inspect_err(|_| staging.undo())?;
        Ok(staging)
    }

    fn write_journal(&self) -> Result<(), BackupError> {
        let places: Vec<_> = self.targets.iter().map(|target| &target.place).collect();
        let text = serde_json::to_vec(&places).map_err(|error| BackupError::Damaged(error.to_string()))?;
        trusted_files::write_atomically(&self.journal, &text, 0o600).map_err(BackupError::io(&self.journal))
    }

    fn make_stages(&self) -> Result<(), BackupError> {
        for Target { name, place } in &self.targets {
            let stage = place.stage();
            make_directory(parent(&stage))?;
            if *name == STORE {
                trusted_files::check_directory(parent(&stage)).map_err(BackupError::Untrusted)?;
                continue;
            }
            // Not one that another user has just made.
            DirBuilder::new().mode(0o700).create(&stage).map_err(BackupError::io(&stage))?;
            trusted_files::check_directory(&stage).map_err(BackupError::Untrusted)?;
        }
        Ok(())
    }

    /// The directories whose disks take the entries.
    pub(super) fn disks(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.targets.iter().map(|Target { name, place }| (*name, parent(&place.path)))
    }

    /// Where an entry of the archive is unpacked; none for a name that is not expected.
    pub(super) fn place_of(&self, entry: &Path) -> Option<PathBuf> {
        let mut components = entry.components();
        let Some(Component::Normal(top)) = components.next() else { return None };
        let target = self.targets.iter().find(|target| top == target.name)?;
        let rest = components.as_path();
        let is_plain = components.all(|component| matches!(component, Component::Normal(_)));
        let is_inside = rest.as_os_str().is_empty() == (target.name == STORE);
        (is_plain && is_inside).then(|| match target.name {
            STORE => target.place.stage(),
            _ => target.place.stage().join(rest),
        })
    }

    /// Moves everything into place, the store last, after what `prepare` makes.
    pub(super) fn commit(
        &self,
        prepare: &dyn Fn() -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<(), BackupError> {
        for Target { place, .. } in &self.targets {
            sync_file_system(&place.stage())?;
        }
        for Target { name, place } in &self.targets {
            if *name == STORE {
                prepare().map_err(BackupError::Prepare)?;
            }
            place.fill()?;
        }
        self.remove_journal()
    }

    /// Removes what was made. Where that fails the journal stays, and the next restore tries again.
    pub(super) fn undo(&self) {
        let undone = self.targets.iter().try_for_each(|target| target.place.clear());
        if undone.is_ok() {
            let _ = self.remove_journal();
        }
    }

    fn remove_journal(&self) -> Result<(), BackupError> {
        remove(&self.journal)?;
        sync_names_beside(&self.journal)
    }
}

/// Undoes the restore of which there is a journal, unless it was complete.
fn sweep<'a>(
    journal: &Path,
    known: impl Iterator<Item = (&'static str, &'a PathBuf)>,
) -> Result<(), BackupError> {
    let text = match archive::read(journal) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::io(journal)(error)),
    };
    let interrupted = || BackupError::Interrupted(journal.to_owned());
    let places: Vec<Place> = serde_json::from_slice(&text).map_err(|_| interrupted())?;
    let paths = known.map(|(_, path)| std::path::absolute(path)).collect::<io::Result<Vec<_>>>();
    // Nothing is removed that this configuration does not name.
    if places.iter().map(|place| &place.path).ne(paths.map_err(BackupError::io(journal))?.iter()) {
        return Err(interrupted());
    }
    let store = places.last().ok_or_else(interrupted)?;
    if store.path.symlink_metadata().is_err() {
        places.iter().try_for_each(Place::clear)?;
    }
    remove(journal)?;
    sync_names_beside(journal)
}

impl Place {
    /// Where it is unpacked.
    fn stage(&self) -> PathBuf {
        if self.was_directory {
            return self.path.join(".restoring");
        }
        let mut stage = self.path.clone().into_os_string();
        stage.push(".restoring");
        PathBuf::from(stage)
    }

    /// Moves what was unpacked into place.
    fn fill(&self) -> Result<(), BackupError> {
        let stage = self.stage();
        if !self.was_directory {
            fs::rename(&stage, &self.path).map_err(BackupError::io(&self.path))?;
            return sync_names_beside(&self.path);
        }
        for entry in fs::read_dir(&stage).map_err(BackupError::io(&stage))? {
            let entry = entry.map_err(BackupError::io(&stage))?;
            let to = self.path.join(entry.file_name());
            fs::rename(entry.path(), &to).map_err(BackupError::io(&to))?;
        }
        fs::remove_dir(&stage).map_err(BackupError::io(&stage))?;
        sync_names_beside(&stage)
    }

    /// Removes what an interrupted restore made of it.
    fn clear(&self) -> Result<(), BackupError> {
        let stage = self.stage();
        if !self.was_directory {
            let is_staged = stage.symlink_metadata().is_ok();
            // Both: the target is not the one that was moved there.
            if is_staged && self.path.symlink_metadata().is_ok() {
                return Err(BackupError::Exists(self.path.clone()));
            }
            return remove(&stage).and_then(|()| remove(&self.path));
        }
        for entry in fs::read_dir(&self.path).map_err(BackupError::io(&self.path))? {
            remove(&entry.map_err(BackupError::io(&self.path))?.path())?;
        }
        Ok(())
    }
}

fn is_empty_directory(path: &Path) -> Result<bool, BackupError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Ok(fs::read_dir(path).map_err(BackupError::io(path))?.next().is_none())
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(BackupError::io(path)(error)),
    }
}

/// Removes a file, or a directory with its content; links are not followed.
fn remove(path: &Path) -> Result<(), BackupError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::io(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn make_directory(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BackupError::io(path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_names_beside(path: &Path) -> Result<(), BackupError> {
    trusted_files::sync_directory(path).map_err(BackupError::io(parent(path)))
}

/// Makes every directory below durable, too.
fn sync_file_system(path: &Path) -> Result<(), BackupError> {
    trusted_files::sync_file_system(path).map_err(BackupError::io(path))
}
