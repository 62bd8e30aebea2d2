//! Restore: unpacks beside the targets, compares with the manifest, asks whether its signature is believed, then moves
//! everything into place.
//!
//! Not for: the places, and what a process that dies leaves there (`staging`).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::BackupPaths;
use super::archive::{Hashed, MANIFEST, SIGNATURE};
use super::bounds::Bounds;
use super::error::BackupError;
use super::manifest::{Entry, Manifest, Signature};
use super::staging::{Staging, make_directory};

/// The largest manifest that is read, bytes.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// The largest signature that is read, bytes.
const MAX_SIGNATURE_BYTES: u64 = 4096;

/// What a restore asks its caller.
pub trait Restore {
    /// Whether a manifest with this signature is believed. It is one by the key that it names; whose key that is only
    /// the caller can tell.
    ///
    /// # Errors
    /// When it is not believed: nothing is restored.
    fn believe(&self, manifest: &Manifest, signature: Option<&Signature>) -> Result<(), BackupError>;

    /// Makes what the restored data needs, before the store is in place.
    ///
    /// # Errors
    /// When it cannot be made: nothing is restored.
    fn prepare(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Unpacks an archive to paths that do not exist yet, or are empty directories. The caller holds the lock of the data
/// directory.
///
/// # Errors
/// When a target exists, the archive is damaged or not believed, or the disk refuses; then nothing is in place.
pub fn restore(
    archive: &Path,
    data: &Path,
    paths: &BackupPaths,
    asked: &dyn Restore,
) -> Result<Manifest, BackupError> {
    let staging = Staging::begin(data, paths)?;
    let restored = (|| {
        let (manifest, signature) = unpack(archive, &staging)?;
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
        asked.believe(&manifest, signature.as_ref())?;
        staging.commit(&|| asked.prepare())?;
        Ok(manifest)
    })();
    restored.inspect_err(|_| {
        if !paths.store.exists() {
            staging.undo();
        }
    })
}

fn unpack(archive: &Path, staging: &Staging) -> Result<(Manifest, Option<Signature>), BackupError> {
    let failed = || BackupError::io(archive);
    let file = File::open(archive).map_err(failed())?;
    let decoder = zstd::Decoder::new(file).map_err(failed())?;
    let mut tar = tar::Archive::new(decoder);
    let (mut found, mut manifest, mut signature) = (Vec::new(), None, None);
    let mut bounds = Bounds::of(staging.disks()).map_err(failed())?;
    // Raw: a long name would be read into memory, however long it is.
    for entry in tar.entries().map_err(failed())?.raw(true) {
        let mut entry = entry.map_err(failed())?;
        let path = entry.path().map_err(failed())?.into_owned();
        let name = path.to_string_lossy().into_owned();
        let unexpected = || BackupError::Damaged(format!("unexpected entry {name}"));
        if entry.header().entry_type() != EntryType::Regular {
            return Err(unexpected());
        }
        match (&manifest, name.as_str()) {
            (None, MANIFEST) => {
                manifest = Some(read(entry, MAX_MANIFEST_BYTES).map_err(failed())?);
                continue;
            }
            (Some(_), SIGNATURE) if signature.is_none() => {
                signature = Some(read(entry, MAX_SIGNATURE_BYTES).map_err(failed())?);
                continue;
            }
            (Some(_), _) => return Err(BackupError::Damaged("an entry follows the manifest".to_owned())),
            (None, _) => {}
        }
        let target: PathBuf = staging.place_of(&path).ok_or_else(unexpected)?;
        bounds.take(&name, entry.size())?;
        make_directory(target.parent().unwrap_or(&target))?;
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
    let text = manifest.ok_or_else(|| BackupError::Damaged("it ends before its manifest".to_owned()))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| BackupError::Damaged(format!("the manifest: {error}")))?;
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
    let signature = signature.map(|signed| {
        let signature = Signature::of(Sha256::digest(&text).into(), &signed);
        signature.ok_or_else(|| BackupError::Damaged("its signature is not one of this manifest".to_owned()))
    });
    Ok((manifest, signature.transpose()?))
}

fn read(entry: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    entry.take(most).read_to_end(&mut text)?;
    Ok(text)
}
