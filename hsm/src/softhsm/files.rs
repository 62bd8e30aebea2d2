//! The files around a SoftHSM token: configuration, PIN file, and the copy of `token.object` that outlives SoftHSM's way
//! of rewriting it in place. Not for PKCS#11.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use trusted_files::{sync_file_system, write_atomically};
use zeroize::Zeroizing;

use super::plan::MakeTokenError;
use crate::error::OpenError;
use crate::keys::lock::TokenLock;
use crate::softhsm_layout::SofthsmLayout;

/// Characters of a PIN that is made here: 190 bits. SoftHSM never locks a PIN, so it must not be guessable.
const PIN_LEN: usize = 32;
const PIN_ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/// `token.object` of one token in SoftHSM's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenObject {
    /// The file.
    pub path: PathBuf,
    /// Serial number of the token, from the directory's name.
    pub serial: String,
    /// The copy that was taken of it, where there is one.
    pub copy: Option<PathBuf>,
    /// Whether the file is missing, empty, or shorter than its copy: then its keys are out of reach until it is restored.
    pub damaged: bool,
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> MakeTokenError {
    move |source| MakeTokenError::File { path: path.to_owned(), source }
}

/// Directories and configuration. Those of another owner are left as they are.
pub(crate) fn prepare(layout: &SofthsmLayout) -> Result<(), MakeTokenError> {
    if layout.shared {
        return Ok(());
    }
    let unfit = || MakeTokenError::Path { path: layout.tokens.clone() };
    let wanted = layout.text().ok_or_else(unfit)?;
    let tokens = &layout.tokens;
    DirBuilder::new().recursive(true).mode(0o700).create(tokens).map_err(file_error(tokens))?;
    fs::set_permissions(tokens, Permissions::from_mode(0o700)).map_err(file_error(tokens))?;
    let path = &layout.configuration;
    match fs::read_to_string(path) {
        Ok(found) if layout.is_said_by(&found) => return Ok(()),
        // It was moved or copied with its tokens and would send this process to the tokens of the original.
        Ok(_) => {
            tracing::info!(configuration = %path.display(), "SoftHSM's configuration names the tokens beside it again")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file_error(path)(error)),
    }
    write_atomically(path, wanted.as_bytes(), 0o644).map_err(file_error(path))
}

/// Writes a random PIN where there is no PIN file.
pub(crate) fn make_pin(path: &Path) -> Result<(), MakeTokenError> {
    if path.exists() {
        return Ok(());
    }
    let pin = random_pin(path)?;
    write_atomically(path, &pin, 0o600).map_err(file_error(path))
}

/// `PIN_LEN` random characters and a newline; wiped when dropped.
pub(crate) fn random_pin(path: &Path) -> Result<Zeroizing<Vec<u8>>, MakeTokenError> {
    let mut pin = Zeroizing::new(vec![0; PIN_LEN]);
    getrandom::fill(&mut pin).map_err(|error| file_error(path)(io::Error::other(error)))?;
    for byte in pin.iter_mut() {
        // 64 characters: the low six bits choose one without a bias.
        *byte = PIN_ALPHABET.get(usize::from(*byte & 63)).copied().unwrap_or(b'-');
    }
    Ok(pin)
}

/// Every token directory. SoftHSM takes the serial from the tail of the directory's UUID.
pub(crate) fn objects(layout: &SofthsmLayout) -> Result<Vec<TokenObject>, MakeTokenError> {
    let SofthsmLayout { tokens, copies, .. } = layout;
    let mut found = Vec::new();
    for entry in fs::read_dir(tokens).map_err(file_error(tokens))? {
        let directory = entry.map_err(file_error(tokens))?.path();
        if !directory.is_dir() {
            continue;
        }
        let name = directory.file_name().unwrap_or_default().to_string_lossy().replace('-', "");
        let serial = name.get(16..).unwrap_or_default().to_owned();
        let path = directory.join("token.object");
        let copy = Some(copies.join(format!("{serial}.token.object"))).filter(|copy| copy.exists());
        let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        // Beside ours in a shared directory are those of other users, which this process need not be able to read.
        let is_ours = !layout.shared || copy.is_some();
        let damaged =
            is_ours && length(&path) == 0 || copy.as_deref().is_some_and(|copy| length(&path) < length(copy));
        found.push(TokenObject { path, serial, copy, damaged });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The directory of the token, locked: one process at a time uses it, whatever data directory it has.
pub(crate) fn lock(layout: &SofthsmLayout, serial: &str) -> Result<Option<TokenLock>, OpenError> {
    let objects = objects(layout).map_err(|error| OpenError::LockFile {
        lock: layout.tokens.clone(),
        source: io::Error::other(error),
    })?;
    let own = objects.iter().find(|object| object.serial == serial);
    own.and_then(|object| object.path.parent()).map(TokenLock::of_directory).transpose()
}

/// Takes the copy of a token that was just seen to work, and makes the original read-only: a service that is not root
/// then cannot empty it by dying in C_Login.
pub(crate) fn protect(layout: &SofthsmLayout, serial: &str) -> Result<(), MakeTokenError> {
    let objects = objects(layout)?;
    let Some(object) = objects.iter().find(|object| object.serial == serial) else {
        return Err(MakeTokenError::Incomplete { what: format!("no directory belongs to token {serial}") });
    };
    let content = fs::read(&object.path).map_err(file_error(&object.path))?;
    fs::set_permissions(&object.path, Permissions::from_mode(0o400)).map_err(file_error(&object.path))?;
    let SofthsmLayout { tokens, copies, .. } = layout;
    DirBuilder::new().recursive(true).mode(0o700).create(copies).map_err(file_error(copies))?;
    let copy = copies.join(format!("{serial}.token.object"));
    if object.copy.is_none() || object.damaged {
        write_atomically(&copy, &content, 0o400).map_err(file_error(&copy))?;
        if fs::read(&copy).map_err(file_error(&copy))? != content {
            return Err(MakeTokenError::Incomplete {
                what: format!("{} was not written well", copy.display()),
            });
        }
    }
    let sync = |directory: &Path| sync_file_system(directory).map_err(file_error(directory));
    sync(tokens)?;
    sync(copies)
}

/// After a login that worked: makes the file read-only, and takes a new copy where the old one is not what it holds now, as
/// after a change of the PIN. The old one is kept beside it as `.previous`. Gives whether a copy was taken.
pub(crate) fn renew_copy(layout: &SofthsmLayout, serial: &str) -> Result<bool, MakeTokenError> {
    let objects = objects(layout)?;
    let Some(object) = objects.iter().find(|object| object.serial == serial && !object.damaged) else {
        return Err(MakeTokenError::Incomplete {
            what: format!("no sound directory belongs to token {serial}"),
        });
    };
    let path = &object.path;
    let mode = fs::metadata(path).map_err(file_error(path))?.permissions().mode();
    if mode & 0o222 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o400)).map_err(file_error(path))?;
    }
    let content = fs::read(path).map_err(file_error(path))?;
    let copies = &layout.copies;
    let copy = copies.join(format!("{serial}.token.object"));
    if object.copy.is_some() {
        let old = fs::read(&copy).map_err(file_error(&copy))?;
        if old == content {
            return Ok(false);
        }
        let previous = copy.with_extension("object.previous");
        write_atomically(&previous, &old, 0o400).map_err(file_error(&previous))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(copies).map_err(file_error(copies))?;
    write_atomically(&copy, &content, 0o400).map_err(file_error(&copy))?;
    let read = |path: &Path| fs::read(path).map_err(file_error(path));
    if read(&copy)? != content || read(path)? != content {
        return Err(MakeTokenError::Incomplete { what: format!("{} is not a good copy", copy.display()) });
    }
    Ok(true)
}

/// Puts copies back where the original is damaged; gives their serials.
pub(crate) fn restore(layout: &SofthsmLayout) -> Result<Vec<String>, MakeTokenError> {
    let mut restored = Vec::new();
    for object in objects(layout)?.into_iter().filter(|object| object.damaged) {
        let Some(copy) = object.copy else {
            let what = format!("{} is damaged and there is no copy of it", object.path.display());
            return Err(MakeTokenError::Incomplete { what });
        };
        let content = fs::read(&copy).map_err(file_error(&copy))?;
        write_atomically(&object.path, &content, 0o400).map_err(file_error(&object.path))?;
        restored.push(object.serial);
    }
    Ok(restored)
}
