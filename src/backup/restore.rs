//! Restore: unpacks beside the data directory, compares with the manifest, then moves everything
//! into place, the store last.
//!
//! A process that dies in between leaves a directory `….restoring` or one without a store: `serve`
//! refuses it, and so does a second restore until it is removed.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::BackupPaths;
use super::archive::{Hashed, MANIFEST};
use super::bounds::Bounds;
use super::error::BackupError;
use super::manifest::{Entry, Manifest};

/// The largest manifest that is read, bytes.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Unpacks an archive to paths that do not exist yet. The service must not run.
///
/// # Errors
/// When a target exists, the archive is damaged, or the disk refuses; then nothing is in place.
pub fn restore(archive: &Path, data: &Path, paths: &BackupPaths) -> Result<Manifest, BackupError> {
    let targets = [Some(&paths.store), Some(&paths.audit), paths.token.as_ref()];
    if let Some(there) = targets.into_iter().flatten().find(|path| path.exists()) {
        return Err(BackupError::Exists(there.clone()));
    }
    let mut staging = data.as_os_str().to_owned();
    staging.push(".restoring");
    let staging = PathBuf::from(staging);
    if staging.exists() {
        return Err(BackupError::Exists(staging));
    }
    if let Some(above) = staging.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_directory(above)?;
    }
    // Not one that another user has just made.
    DirBuilder::new().mode(0o700).create(&staging).map_err(BackupError::io(&staging))?;
    trusted_files::check_directory(&staging).map_err(|error| {
        let _ = fs::remove_dir(&staging);
        BackupError::Untrusted(error)
    })?;
    let manifest = unpack(archive, &staging).inspect_err(|_| {
        // Nothing was moved into place yet.
        let _ = fs::remove_dir_all(&staging);
    })?;
    match (manifest.token, paths.token.is_some()) {
        (true, false) => {
            return Err(BackupError::OtherModule(
                "the archive holds a SoftHSM token; pkcs11.module names another module",
            ));
        }
        (false, true) => {
            return Err(BackupError::OtherModule(
                "the archive holds no SoftHSM token; pkcs11.module names SoftHSM",
            ));
        }
        (true, true) | (false, false) => {}
    }
    make_directory(data)?;
    if let Some(token) = &paths.token {
        move_into_place(&staging.join("token"), token)?;
    }
    move_into_place(&staging.join("audit"), &paths.audit)?;
    move_into_place(&staging.join("store.sqlite"), &paths.store)?;
    fs::remove_dir_all(&staging).map_err(BackupError::io(&staging))?;
    Ok(manifest)
}

fn unpack(archive: &Path, staging: &Path) -> Result<Manifest, BackupError> {
    let failed = || BackupError::io(archive);
    let file = File::open(archive).map_err(failed())?;
    let decoder = zstd::Decoder::new(file).map_err(failed())?;
    let mut tar = tar::Archive::new(decoder);
    let (mut found, mut manifest) = (Vec::new(), None::<Manifest>);
    let mut bounds = Bounds::of(staging).map_err(BackupError::io(staging))?;
    // Raw: a long name would be read into memory, however long it is.
    for entry in tar.entries().map_err(failed())?.raw(true) {
        let mut entry = entry.map_err(failed())?;
        if manifest.is_some() {
            return Err(BackupError::Damaged("an entry follows the manifest".to_owned()));
        }
        let path = entry.path().map_err(failed())?.into_owned();
        let name = path.to_string_lossy().into_owned();
        if entry.header().entry_type() != EntryType::Regular || !is_expected(&path) {
            return Err(BackupError::Damaged(format!("unexpected entry {name}")));
        }
        if name == MANIFEST {
            let mut text = Vec::new();
            entry.take(MAX_MANIFEST_BYTES).read_to_end(&mut text).map_err(failed())?;
            let parsed = serde_json::from_slice(&text);
            manifest = Some(parsed.map_err(|error| BackupError::Damaged(format!("the manifest: {error}")))?);
            continue;
        }
        bounds.take(&name, entry.size())?;
        let target = staging.join(&path);
        make_directory(target.parent().unwrap_or(staging))?;
        let mut hashed = Hashed { inner: &mut entry, hash: Sha256::new() };
        let bytes = (|| {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&target)?;
            let bytes = io::copy(&mut hashed, &mut file)?;
            file.sync_all()?;
            Ok(bytes)
        })()
        .map_err(BackupError::io(&target))?;
        found.push(Entry { path: name, bytes, sha256: hex::encode(hashed.hash.finalize()) });
    }
    let manifest = manifest.ok_or_else(|| BackupError::Damaged("it ends before its manifest".to_owned()))?;
    if manifest.format != 1 {
        return Err(BackupError::Form(manifest.format));
    }
    let differs = manifest.files.iter().zip(&found).find(|(listed, found)| listed != found);
    if let Some((listed, _)) = differs {
        return Err(BackupError::Damaged(format!("{} does not match the manifest", listed.path)));
    }
    if manifest.files.len() != found.len() {
        return Err(BackupError::Damaged("the manifest lists other files".to_owned()));
    }
    Ok(manifest)
}

/// Plain names below the known top-level names; no `..`, no root.
fn is_expected(path: &Path) -> bool {
    let mut components = path.components();
    let first = components.next();
    let plain = components.all(|component| matches!(component, Component::Normal(_)));
    let known = ["store.sqlite", "token", "audit", MANIFEST];
    plain && matches!(first, Some(Component::Normal(name)) if known.iter().any(|known| name == *known))
}

fn make_directory(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BackupError::io(path))
}

/// Renames, and syncs the directory above.
fn move_into_place(from: &Path, to: &Path) -> Result<(), BackupError> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(parent)?;
    fs::rename(from, to).and_then(|()| File::open(parent)?.sync_all()).map_err(BackupError::io(to))
}
