//! New segments: zeros first, then the header that names the head, then the name; each step durable before the next.
//!
//! The zeros of the next segment are written beforehand by another thread. Not for: what goes into a segment
//! (`appender`).

use std::io;
use std::time::{Duration, Instant};

use super::appender::{Appender, Layout};
use super::disk::{Coming, Disk, commit};
use super::merkle::Frontier;
use super::published::Sealed;
use super::record::Stamp;
use super::recovery::Active;
use super::segment::{self, HEADER_BYTES, NONE, Reason, SegmentHeader};
use super::settings::LogId;

/// The name of the prepared file. It holds no records and is made anew at each start.
const SPARE: &str = "next-segment";

/// The file that will be the next segment.
pub(crate) struct Spare<F> {
    coming: Option<Coming<F>>,
    ready: Option<(F, u64)>,
    not_before: Option<Instant>,
}

impl<F> Default for Spare<F> {
    fn default() -> Self {
        Self { coming: None, ready: None, not_before: None }
    }
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
        created_ns: Stamp::now().wall_ns,
        bytes: layout.segment_bytes,
        record_hash: [0; 32],
        previous: NONE,
        frontier: Frontier::default(),
    };
    remove_if_there(disk, SPARE)?;
    let file = disk.create_zeroed(SPARE, header.bytes)?;
    begin(disk, &file, &header)
}

/// Turns the prepared file into a segment: the header durable, then its name durable.
fn begin<D: Disk>(disk: &D, file: &D::File, header: &SegmentHeader) -> io::Result<()> {
    commit(file, &header.encode(), 0)?;
    disk.rename(SPARE, &segment::name(header.first()))?;
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

impl<D: Disk> Appender<D> {
    /// Removes what an earlier run had prepared.
    pub(crate) fn discard_spare(&mut self) -> io::Result<()> {
        remove_if_there(&self.disk, SPARE)
    }

    /// Waits for a preparation that is going on, so that nothing touches the directory any more.
    pub(crate) fn finish_spare(&mut self) {
        if let Some(coming) = self.spare.coming.take() {
            let _ = coming.wait();
        }
    }

    /// Has the next segment prepared once this one is half full.
    pub(crate) fn prepare_spare(&mut self) {
        if let Some(answer) = self.spare.coming.as_ref().and_then(Coming::look) {
            self.spare.coming = None;
            match answer {
                Ok(file) => self.spare.ready = Some((file, self.layout.segment_bytes)),
                Err(error) => {
                    tracing::warn!(%error, "cannot prepare the next audit segment; trying again");
                    self.spare.not_before = Some(Instant::now() + Duration::from_secs(1));
                    let _ = self.discard_spare();
                }
            }
        }
        let wanted = self.active.offset > self.active.bytes / 2
            && self.spare.ready.is_none()
            && self.spare.coming.is_none()
            && self.spare.not_before.is_none_or(|time| Instant::now() >= time);
        if wanted {
            self.spare.coming = Some(self.disk.prepare(SPARE, self.layout.segment_bytes));
        }
    }

    /// Goes on in a new segment whose header names the last acknowledged head.
    pub(crate) fn rotate(&mut self, reason: Reason) -> io::Result<()> {
        let first = self.frontier.size();
        let previous = if first == self.active.first { self.active.previous } else { self.active.first };
        let (file, bytes) = self.take_spare()?;
        let header = SegmentHeader {
            reason,
            log: self.log,
            epoch: self.epoch,
            open_from: self.open_from(),
            created_ns: Stamp::now().wall_ns,
            bytes,
            record_hash: self.last,
            previous,
            frontier: self.frontier.clone(),
        };
        // A segment of this name was begun and failed before it held an acknowledged record; its name is needed. The
        // first is kept, for whoever asks what happened; our own attempts after it would fill the disk.
        let name = segment::name(first);
        if self.attempted {
            remove_if_there(&self.disk, &name)?;
        } else {
            let aside = format!("abandoned-{}-{name}", header.created_ns);
            not_found_is_fine(self.disk.rename(&name, &aside))?;
        }
        self.attempted = reason == Reason::Failure;
        begin(&self.disk, &file, &header)?;
        if first > self.active.first {
            self.sealed.push(Sealed { first: self.active.first, head: self.head() });
        }
        self.active = Active {
            file,
            name,
            first,
            previous,
            bytes,
            created_ns: header.created_ns,
            offset: HEADER_BYTES,
        };
        Ok(())
    }

    fn take_spare(&mut self) -> io::Result<(D::File, u64)> {
        if let Some(ready) = self.spare.ready.take() {
            return Ok(ready);
        }
        let bytes = self.layout.segment_bytes;
        if let Some(Ok(file)) = self.spare.coming.take().and_then(Coming::wait) {
            return Ok((file, bytes));
        }
        self.discard_spare()?;
        Ok((self.disk.create_zeroed(SPARE, bytes)?, bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::fs::File;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::appender::Opening;
    use super::super::disk::Directory;
    use super::super::settings::BootFacts;
    use super::*;

    /// A disk on which so many more files are not where they should be.
    #[derive(Clone)]
    struct Unsteady(Directory, Arc<AtomicU32>);

    impl Disk for Unsteady {
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
        fn still_there(&self, name: &str, file: &File, bytes: u64) -> io::Result<()> {
            let less = |left: u32| left.checked_sub(1);
            match self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
                Ok(_) => Err(io::Error::other("gone")),
                Err(_) => self.0.still_there(name, file, bytes),
            }
        }
    }

    #[test]
    fn many_failed_attempts_to_go_on_leave_two_files_and_name_the_segment_that_failed() {
        let directory = tempfile::tempdir().unwrap();
        let failures = Arc::new(AtomicU32::new(0));
        let disk = Unsteady(Directory::lock(directory.path()).unwrap(), failures.clone());
        let layout = Layout { segment_bytes: 1 << 16, daily: false };
        Appender::create(&disk, layout, [1; 32]).unwrap();
        let boot = BootFacts { version: String::new(), config_digest: [0; 32] };
        let opening = Opening { boot, kernel_boot: String::new(), epoch: [2; 16] };
        let (mut appender, _) = Appender::open(disk, directory.path(), layout, &opening).unwrap();
        failures.store(20, Ordering::Relaxed);
        appender.stop().unwrap_err();
        for _ in 1..20 {
            appender.resume("gone").unwrap_err();
        }
        appender.resume("gone").unwrap();
        let segments = [segment::name(0), segment::name(1)];
        let mut names = appender.disk.names().unwrap();
        names.sort();
        assert_eq!(names, segments);
        let written = std::fs::read(directory.path().join(segment::name(1))).unwrap();
        let cause = format!("\"cause\":\"gone\",\"abandoned\":\"{}\"", segment::name(0));
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
