//! One attempt at an `init`, and its journal in the data directory.
//!
//! The journal is durable before anything is made. While it is there and the store is not, all that is at the places
//! that it names came of this attempt, and the objects in the token carry its installation id. So a failure removes
//! them, and after a kill the next `init` does. Not for: what a directory without a journal holds (`remains`).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hsm::{InitAttempt, KeyId};
use serde::{Deserialize, Serialize};
use trusted_files::Readers;

use super::remains::{JOURNAL, is_transient};
use crate::cli::error::CliError;
use crate::cli::serve::open::token::{enclave_settings, softhsm_layout, softhsm_token};
use crate::config::Configuration;

/// The longest journal, bytes.
const MOST: u64 = 64 * 1024;

/// What is made, and under which id.
pub(super) struct Attempt {
    file: PathBuf,
    journal: Journal,
    /// The PIN file and the token are made, too: nothing in an HSM is touched.
    makes_token: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    installation: String,
    /// `--resume`: the token may have been initialised before.
    adopt: bool,
    places: Vec<Place>,
}

/// A place where nothing was when the attempt began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: PathBuf,
    /// It was an empty directory, a mount point perhaps, and stays.
    was_directory: bool,
}

impl Attempt {
    /// Removes what an attempt left on the disk that was killed, and writes the journal of this one. The caller holds the
    /// lock of the data directory, which has no store.
    pub(super) fn begin(configuration: &Configuration, adopt: bool) -> Result<Self, CliError> {
        let file = configuration.data.directory.join(JOURNAL);
        let failed = |error: io::Error| CliError::context(format!("cannot use {}", file.display()), &error);
        let places = places(configuration)?;
        let before = read(&file)?;
        if let Some(before) = &before {
            sweep(before, &places, &file)?;
        }
        remove_transient(&configuration.data.directory).map_err(failed)?;
        let mut free = Vec::new();
        for path in places {
            free.extend(Place::free(path).map_err(failed)?);
        }
        let fresh = || KeyId::random().map_err(|error| failed(io::Error::other(error)));
        let installation = match &before {
            Some(before) => before.installation.clone(),
            None => fresh()?.to_string(),
        };
        let adopt = adopt || before.is_some_and(|before| before.adopt);
        let makes_token = makes_token(configuration, &free);
        let journal = Journal { installation, adopt, places: free };
        let text = serde_json::to_vec(&journal).map_err(|error| failed(error.into()))?;
        trusted_files::write_atomically(&file, &text, 0o600).map_err(failed)?;
        Ok(Self { file, journal, makes_token })
    }

    /// For the enclave.
    pub(super) fn in_token(&self) -> Result<InitAttempt, CliError> {
        let adopt = self.journal.adopt;
        installation(&self.journal, &self.file).map(|installation| InitAttempt { installation, adopt })
    }

    /// Whether a token that is initialised is taken over.
    pub(super) const fn adopts(&self) -> bool {
        self.journal.adopt
    }

    /// The installation is complete: its store is there. A journal that stays here means nothing any more, and `serve`
    /// removes it.
    pub(super) fn end(self) {
        if let Err(error) = forget(&self.file) {
            tracing::warn!(%error, "the journal of init was not removed");
        }
    }

    /// Removes what was made, and gives the error with what could not be removed. `token` tells whether objects in
    /// the token may be left: what the enclave made itself it has destroyed.
    pub(super) fn undo(self, configuration: &Configuration, token: bool, failed: CliError) -> CliError {
        match self.remove(configuration, token) {
            Ok(()) => failed,
            Err(kept) => failed
                .with_hint(kept.message())
                .with_hint("run `avs-kms init` again once that is repaired: it removes what this one left"),
        }
    }

    fn remove(&self, configuration: &Configuration, token: bool) -> Result<(), CliError> {
        if token && !self.makes_token {
            let settings = enclave_settings(configuration, None);
            hsm::Enclave::undo_init(&settings, self.in_token()?)
                .map_err(|error| CliError::token("what init made is still in the token", &error))?;
        }
        let failed = |error| CliError::context("what init made cannot be removed", &error);
        self.journal.places.iter().try_for_each(Place::clear).map_err(failed)?;
        remove_transient(&configuration.data.directory).map_err(failed)?;
        forget(&self.file).map_err(failed)
    }
}

/// The installation id of an `init` that was interrupted, and whether it was about to make SoftHSM's token.
pub(in crate::cli) fn interrupted(configuration: &Configuration) -> Result<Option<(KeyId, bool)>, CliError> {
    let file = configuration.data.directory.join(JOURNAL);
    let Some(journal) = read(&file)? else { return Ok(None) };
    let makes_token = makes_token(configuration, &journal.places);
    Ok(Some((installation(&journal, &file)?, makes_token)))
}

/// Whether SoftHSM's tokens are at one of the places.
fn makes_token(configuration: &Configuration, places: &[Place]) -> bool {
    let tokens = softhsm_layout(configuration).map(|layout| layout.tokens);
    tokens.is_some_and(|tokens| places.iter().any(|place| tokens.starts_with(&place.path)))
}

/// Removes the journal of an `init` that was complete, before any key can be there: a store that is lost later does not
/// make an interrupted init of this installation.
pub(in crate::cli) fn forget(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Ok(()) => trusted_files::sync_directory(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn installation(journal: &Journal, file: &Path) -> Result<KeyId, CliError> {
    journal.installation.parse().map_err(|_| unreadable(file))
}

fn unreadable(file: &Path) -> CliError {
    CliError::new(format!("{} is not what `avs-kms init` wrote; nothing was changed", file.display()))
        .with_hint("name a new data directory with --data")
}

fn read(file: &Path) -> Result<Option<Journal>, CliError> {
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(_) | Err(_) => {}
    }
    let failed = |error: &(dyn std::error::Error + 'static)| {
        CliError::context(format!("cannot read {}", file.display()), error)
    };
    let opened = trusted_files::open(file, Readers::Owner).map_err(|error| failed(&error))?;
    let mut text = Vec::new();
    opened.take(MOST).read_to_end(&mut text).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map(Some).map_err(|_| unreadable(file))
}

/// Where `init` makes files: the audit log, and SoftHSM's token with its PIN.
fn places(configuration: &Configuration) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = vec![configuration.audit.directory.clone()];
    if let Some(hsm::SofthsmToken { layout, pin_file, .. }) = softhsm_token(configuration)? {
        let is_begun = configuration.data.directory.join(JOURNAL).exists();
        if layout.shared {
            // Its tokens and its configuration are another owner's.
            paths.push(layout.copies);
        } else if is_begun || !layout.tokens.exists() {
            // Else the token of the label may be there with its PIN.
            paths.extend(layout.configuration.parent().map(Path::to_owned));
            paths.extend([layout.tokens, layout.configuration, layout.copies, pin_file]);
        }
    }
    let absolute = |path: PathBuf| {
        std::path::absolute(&path)
            .map_err(|error| CliError::context(format!("cannot resolve {}", path.display()), &error))
    };
    paths.into_iter().map(absolute).collect()
}

/// Removes what is at the places of the journal. Nothing is removed that this configuration does not name.
fn sweep(journal: &Journal, places: &[PathBuf], file: &Path) -> Result<(), CliError> {
    if let Some(other) = journal.places.iter().find(|place| !places.contains(&place.path)) {
        return Err(CliError::new(format!(
            "{} tells of an init with another configuration, which was interrupted: it made {}; nothing was changed",
            file.display(),
            other.path.display()
        ))
        .with_hint("run init with that configuration, or name a new data directory with --data"));
    }
    tracing::warn!("an earlier init was interrupted; what it left is removed");
    journal
        .places
        .iter()
        .try_for_each(Place::clear)
        .map_err(|error| CliError::context("what an interrupted init left cannot be removed", &error))
}

/// Files that were about to get their name.
fn remove_transient(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if is_transient(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Place {
    /// None where something is: that is not this attempt's.
    fn free(path: PathBuf) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Some(Self { path, was_directory: false }))
            }
            Err(error) => Err(error),
            Ok(found) if found.is_dir() && fs::read_dir(&path)?.next().is_none() => {
                Ok(Some(Self { path, was_directory: true }))
            }
            Ok(_) => Ok(None),
        }
    }

    fn clear(&self) -> io::Result<()> {
        if !self.was_directory {
            return remove(&self.path);
        }
        match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(mut entries) => entries.try_for_each(|entry| remove(&entry?.path())),
        }
    }
}

/// Removes a file, or a directory with its content; links are not followed.
pub(in crate::cli) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
