//! Disk trait of the log.
//!
//! It exists so that a simulated disk can lose, reorder and tear what was not synced. Not for:
//! formats.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// One file at fixed offsets.
pub(crate) trait DiskFile: Send + 'static {
    /// Fills the buffer from that offset.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all bytes at that offset; durable only after [`sync_data`](Self::sync_data).
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written so far durable. After an error nothing is known about any of it.
    fn sync_data(&self) -> io::Result<()>;
    /// The size.
    fn bytes(&self) -> io::Result<u64>;
}

/// One directory.
pub(crate) trait Disk: Clone + Send + 'static {
    /// Its files.
    type File: DiskFile;

    /// The names of all files.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Opens a file for reading, and for writing where the disk is writable.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// A new file of that many zeros; size and content are durable on return, its name not yet.
    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<Self::File>;
    /// Gives a file another name; durable only after [`sync_names`](Self::sync_names).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes all names durable.
    fn sync_names(&self) -> io::Result<()>;
    /// An error unless this very directory is still at its path.
    fn is_in_place(&self) -> io::Result<()>;
    /// An error unless this very file, whole, still has its name in this very directory.
    fn verify_unchanged(&self, name: &str, file: &Self::File, bytes: u64) -> io::Result<()>;

    /// [`create_zeroed`](Self::create_zeroed) without waiting for it, and without keeping the disk
    /// busy.
    fn prepare(&self, name: &'static str, bytes: u64) -> PendingFile<Self::File> {
        let (done, coming) = PendingFile::new();
        let _ = done.answer.send(self.create_zeroed(name, bytes));
        coming
    }
}

/// A file that is being made.
pub(crate) struct PendingFile<F> {
    answer: mpsc::Receiver<io::Result<F>>,
    hurry: Arc<AtomicBool>,
}

/// The maker's end.
pub(crate) struct SegmentFactory<F> {
    pub(crate) answer: mpsc::Sender<io::Result<F>>,
    pub(crate) hurry: Arc<AtomicBool>,
}

impl<F> PendingFile<F> {
    pub(crate) fn new() -> (SegmentFactory<F>, Self) {
        let ((sender, answer), hurry) = (mpsc::channel(), Arc::new(AtomicBool::new(false)));
        (SegmentFactory { answer: sender, hurry: hurry.clone() }, Self { answer, hurry })
    }

    /// The file, if it is complete.
    pub(crate) fn poll(&self) -> Option<io::Result<F>> {
        self.answer.try_recv().ok()
    }

    /// Waits for the file; `None` when no thread makes it.
    pub(crate) fn wait(self) -> Option<io::Result<F>> {
        self.hurry.store(true, Ordering::Relaxed);
        self.answer.recv().ok()
    }
}

/// The durable write, the heart of the log: every byte of a batch in one write, then one
/// `fdatasync`.
///
/// The file was written with zeros and synced before, so neither its size nor its block map
/// changes: `fdatasync` has no journal to wait for, and on ext4 an in-place write is immune to the
/// corner where a growing file reports success for data that an aborted journal never saw. On error
/// the caller must not use the file again: the kernel may have dropped the dirty pages and would
/// report success next time.
pub(crate) fn commit<F: DiskFile>(file: &F, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_at(bytes, offset)?;
    file.sync_data()
}
