//! Segment rotation: zeros, then the header that names the head, then the file name; each step
//! durable before the next.
//!
//! The zeros of the next segment are written beforehand by another thread. Not for: what goes into
//! a segment (`appender`).

use std::io;
use std::time::{Duration, Instant};

use crate::format::log_id::LogId;
use crate::format::merkle::Frontier;
use crate::format::names::{self, PREPARED};
use crate::format::segment::{NONE, Reason, SegmentHeader};
use crate::format::time::RecordTime;
use crate::storage::disk::{Disk, PendingFile, commit};

/// What the appender must know of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) segment_bytes: u64,
    pub(crate) daily: bool,
}

/// Prepares the file of the next segment beforehand, and gives it header and name when it is
/// needed.
pub(crate) struct SegmentRotation<F> {
    layout: Layout,
    coming: Option<PendingFile<F>>,
    ready: Option<F>,
    not_before: Option<Instant>,
    /// Whether the file under the name of the next segment is an attempt of ours to go on, which
    /// failed as well.
    attempted: bool,
}

/// Some eighty operations of the reserved lane.
const RESERVE_BYTES: u64 = 256 << 10;

/// The end of a segment that only the reserved lane writes, when no next segment can be begun.
pub(crate) fn reserve(segment_bytes: u64) -> u64 {
    (segment_bytes / 8).min(RESERVE_BYTES)
}

/// The day since 1970-01-01 of a time.
pub(crate) const fn day(wall_ns: u64) -> u64 {
    wall_ns / 86_400_000_000_000
}

/// The first segment of a new log.
pub(crate) fn first_segment<D: Disk>(
    disk: &D,
    layout: Layout,
    log: LogId,
    epoch: [u8; 16],
) -> io::Result<()> {
    let header = SegmentHeader {
        reason: Reason::First,
        log,
        epoch,
        open_from: NONE,
        created_ns: RecordTime::now().wall_ns,
        bytes: layout.segment_bytes,
        record_hash: [0; 32],
        previous: NONE,
        frontier: Frontier::default(),
    };
    remove_if_there(disk, PREPARED)?;
    let file = disk.create_zeroed(PREPARED, header.bytes)?;
    begin(disk, &file, &header)
}

/// Turns the prepared file into a segment: the header durable, then its name durable.
fn begin<D: Disk>(disk: &D, file: &D::File, header: &SegmentHeader) -> io::Result<()> {
    commit(file, &header.encode(), 0)?;
    disk.rename(PREPARED, &names::segment(header.first()))?;
    disk.sync_names()
}

fn remove_if_there<D: Disk>(disk: &D, name: &str) -> io::Result<()> {
    not_found_is_fine(disk.remove(name))
}

fn not_found_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl<F> SegmentRotation<F> {
    pub(crate) const fn new(layout: Layout) -> Self {
        Self { layout, coming: None, ready: None, not_before: None, attempted: false }
    }

    /// Removes what an earlier run had prepared.
    pub(crate) fn discard(disk: &impl Disk) -> io::Result<()> {
        remove_if_there(disk, PREPARED)
    }

    /// Waits for a preparation that is going on, so that nothing touches the directory any more.
    pub(crate) fn finish(&mut self) {
        if let Some(coming) = self.coming.take() {
            let _ = coming.wait();
        }
    }

    /// Has the next segment prepared, if it is not yet.
    pub(crate) fn prepare(&mut self, disk: &impl Disk<File = F>) {
        if let Some(answer) = self.coming.as_ref().and_then(PendingFile::poll) {
            self.coming = None;
            match answer {
                Ok(file) => self.ready = Some(file),
                Err(error) => {
                    tracing::warn!(%error, "cannot prepare the next audit segment; trying again");
                    self.not_before = Some(Instant::now() + Duration::from_secs(1));
                    let _ = Self::discard(disk);
                }
            }
        }
        let wanted = self.ready.is_none()
            && self.coming.is_none()
            && self.not_before.is_none_or(|time| Instant::now() >= time);
        if wanted {
            self.coming = Some(disk.prepare(PREPARED, self.layout.segment_bytes));
        }
    }

    /// Begins the segment of that header, durably.
    pub(crate) fn begin(&mut self, disk: &impl Disk<File = F>, header: &SegmentHeader) -> io::Result<F> {
        let file = self.take(disk)?;
        // A segment of this name was begun and failed before it held an acknowledged record; its
        // name is needed. The first is kept for the investigation; further attempts would fill the
        // disk.
        let name = names::segment(header.first());
        if self.attempted {
            remove_if_there(disk, &name)?;
        } else {
            let aside = format!("abandoned-{}-{name}", header.created_ns);
            not_found_is_fine(disk.rename(&name, &aside))?;
        }
        self.attempted = header.reason == Reason::Failure;
        begin(disk, &file, header)?;
        Ok(file)
    }

    /// A record is durable in the segment that was begun last.
    pub(crate) const fn succeeded(&mut self) {
        self.attempted = false;
    }

    fn take(&mut self, disk: &impl Disk<File = F>) -> io::Result<F> {
        if let Some(ready) = self.ready.take() {
            return Ok(ready);
        }
        if let Some(Ok(file)) = self.coming.take().and_then(PendingFile::wait) {
            return Ok(file);
        }
        Self::discard(disk)?;
        let created = disk.create_zeroed(PREPARED, self.layout.segment_bytes);
        if created.is_err() {
            // On a full disk half a file takes the space that others need.
            let _ = Self::discard(disk);
        }
        created
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::fs::File;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::format::record::BuildInfo;
    use crate::storage::directory::Directory;
    use crate::write::appender::{Appender, RunInfo};

    /// A disk that fails the next checks of a file.
    #[derive(Clone)]
    struct FailingDisk(Directory, Arc<AtomicU32>);

    impl Disk for FailingDisk {
        type File = File;

        fn names(&self) -> io::Result<Vec<String>> {
            self.0.names()
        }
        fn open(&self, name: &str) -> io::Result<File> {
            self.0.open(name)
        }
        fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<File> {
            self.0.create_zeroed(name, bytes)
        }
        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.0.rename(from, to)
        }
        fn remove(&self, name: &str) -> io::Result<()> {
            self.0.remove(name)
        }
        fn sync_names(&self) -> io::Result<()> {
            self.0.sync_names()
        }
        fn is_in_place(&self) -> io::Result<()> {
            self.0.is_in_place()
        }
        fn verify_unchanged(&self, name: &str, file: &File, bytes: u64) -> io::Result<()> {
            let less = |left: u32| left.checked_sub(1);
            match self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
                Ok(_) => Err(io::Error::other("gone")),
                Err(_) => self.0.verify_unchanged(name, file, bytes),
            }
        }
    }

    #[test]
    fn many_failed_attempts_to_go_on_leave_two_files_and_name_the_segment_that_failed() {
        let directory = tempfile::tempdir().unwrap();
        let failures = Arc::new(AtomicU32::new(0));
        let disk = FailingDisk(Directory::lock(directory.path()).unwrap(), failures.clone());
        let layout = Layout { segment_bytes: 1 << 16, daily: false };
        Appender::create(&disk, layout, [1; 32]).unwrap();
        let boot = BuildInfo { version: String::new(), config_digest: [0; 32], installation: None };
        let opening = RunInfo { boot, kernel_boot: String::new(), epoch: [2; 16] };
        let (mut appender, _) = Appender::open(disk, directory.path(), layout, &opening).unwrap();
        failures.store(20, Ordering::Relaxed);
        appender.stop().unwrap_err();
        for _ in 1..20 {
            appender.resume("gone").unwrap_err();
        }
        appender.resume("gone").unwrap();
        let segments = [names::segment(0), names::segment(1)];
        let mut names = appender.disk.names().unwrap();
        names.sort();
        assert_eq!(names, segments);
        let written = std::fs::read(directory.path().join(names::segment(1))).unwrap();
        let cause = format!("\"cause\":\"gone\",\"abandoned\":\"{}\"", names::segment(0));
        assert!(String::from_utf8_lossy(&written).contains(&cause));

        // One that fails with the first record in it is kept; what is tried after it is not.
        failures.store(3, Ordering::Relaxed);
        appender.resume("again").unwrap_err();
        appender.resume("again").unwrap_err();
        appender.resume("again").unwrap_err();
        appender.resume("again").unwrap();
        assert_eq!(appender.disk.names().unwrap().len(), 3);
    }
}
