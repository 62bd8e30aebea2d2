//! Archive writer: each file with its hash, then the manifest and its signature; the archive gets its
//! name when it is durable.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use trusted_files::AtomicFile;
use zstd::Encoder;

use super::error::BackupError;
use super::manifest::{Entry, Manifest, Signature};
use audit_log::SnapshotFile;

/// The entry behind all files.
pub(super) const MANIFEST: &str = "manifest.json";
/// The last entry, where the token could sign.
pub(super) const SIGNATURE: &str = "manifest.sig";

/// Preallocated segments are mostly zeros; ciphertexts do not shrink at any level.
const LEVEL: i32 = 3;

pub(super) struct Archive {
    tar: Builder<Encoder<'static, File>>,
    new: AtomicFile,
    to: PathBuf,
    files: Vec<Entry>,
}

impl Archive {
    pub(super) fn create(to: &Path) -> Result<Self, BackupError> {
        let failed = BackupError::io;
        let new = AtomicFile::create(to, 0o600).map_err(failed(to))?;
        let file = new.file().try_clone().map_err(failed(to))?;
        let encoder = Encoder::new(file, LEVEL).map_err(failed(to))?;
        Ok(Self { tar: Builder::new(encoder), new, to: to.to_owned(), files: Vec::new() })
    }

    /// A file of these bytes.
    pub(super) fn bytes(&mut self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        self.add(name, content.len() as u64, content)
    }

    /// A whole file. Read at once: it may grow or vanish while it is copied.
    fn file(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let content = read(path).map_err(BackupError::io(path))?;
        self.bytes(name, &content)
    }

    /// Every regular file below a directory; one that vanishes meanwhile belongs to no key that was
    /// reported.
    pub(super) fn directory(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        // A link in the place of the directory would bring in what it leads to, such as the PIN.
        if !fs::symlink_metadata(path).map_err(BackupError::io(path))?.is_dir() {
            return Err(BackupError::io(path)(io::ErrorKind::NotADirectory.into()));
        }
        let mut names: Vec<_> = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(BackupError::io(path))?
            .into_iter()
            .map(|entry| (entry.file_name(), entry.path()))
            .collect();
        names.sort();
        for (file_name, path) in names {
            let Some(file_name) = file_name.to_str() else { continue };
            let name = format!("{name}/{file_name}");
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.directory(&name, &path)?,
                Ok(metadata) if metadata.is_file() => match self.file(&name, &path) {
                    Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                    result => result?,
                },
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BackupError::io(&path)(error)),
            }
        }
        Ok(())
    }

    /// A file of the audit log, with zeros behind what is durable.
    pub(super) fn snapshot_file(&mut self, name: &str, part: SnapshotFile) -> Result<(), BackupError> {
        let SnapshotFile { file, written, bytes, .. } = part;
        self.add(name, bytes, file.take(written).chain(io::repeat(0).take(bytes.saturating_sub(written))))
    }

    fn add(&mut self, name: &str, bytes: u64, content: impl Read) -> Result<(), BackupError> {
        let mut hashed = Hashed { inner: content, hash: Sha256::new() };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes);
        header.set_mode(0o600);
        // A longer name would become an entry of its own, which a restore refuses.
        header.set_path(name).map_err(BackupError::io(Path::new(name)))?;
        self.tar.append_data(&mut header, name, &mut hashed).map_err(BackupError::io(&self.to))?;
        let sha256 = hex::encode(hashed.hash.finalize());
        self.files.push(Entry { path: name.to_owned(), bytes, sha256 });
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        manifest: Manifest,
        sign: impl FnOnce([u8; 32]) -> Option<Signature>,
    ) -> Result<(Manifest, Option<Signature>), BackupError> {
        let manifest = Manifest { files: std::mem::take(&mut self.files), ..manifest };
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        self.bytes(MANIFEST, &text)?;
        let signature = sign(Sha256::digest(&text).into());
        if let Some(signature) = &signature {
            self.bytes(SIGNATURE, signature.to_text().as_bytes())?;
        }
        let Self { tar, new, to, .. } = self;
        let ended = || -> io::Result<()> {
            tar.into_inner()?.finish()?;
            new.commit_new()
        };
        ended().map_err(BackupError::io(&to))?;
        Ok((manifest, signature))
    }
}

/// The bytes of a file that was just seen to be a regular one: nothing is waited for or followed.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut content = Vec::new();
    File::options().read(true).custom_flags(flags).open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// Reads and hashes.
pub(super) struct Hashed<R> {
    pub(super) inner: R,
    pub(super) hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
