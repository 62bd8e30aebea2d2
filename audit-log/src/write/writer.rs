//! Writer thread: takes a batch from the queue, makes it durable and acknowledges it.
//!
//! After any error it refuses intents until a new segment is durable. Not for: what the bytes look
//! like (`appender`), who may hand in (`queue`).

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::durable_head::DurableHead;
use crate::error::OpenError;
use crate::format::encode::clock_step_body;
use crate::format::head::Receipt;
use crate::format::names;
use crate::format::record::BuildInfo;
use crate::format::segment::HEADER_BYTES;
use crate::format::time::RecordTime;
use crate::metrics;
use crate::settings::Settings;
use crate::storage::directory::Directory;
use crate::storage::disk::Disk;
use crate::write::acks::Acks;
use crate::write::appender::{Appender, RunInfo};
use crate::write::clock_step::Clock;
use crate::write::queue::Queue;
use crate::write::queue::entry::{AckKind, Batch, QueuedRecord};
use crate::write::recovery::OpenIntent;
use crate::write::segment_rotation::Layout;

/// What [`start`] gives back.
pub(crate) struct Started {
    pub(crate) thread: JoinHandle<()>,
    pub(crate) published: Arc<DurableHead>,
    pub(crate) open_intents: Vec<OpenIntent>,
}

/// Makes the directory, if needed, and an empty log in it.
pub(crate) fn create(settings: &Settings) -> Result<(), OpenError> {
    let layout = layout(settings)?;
    let path = &settings.directory;
    let failed = |doing| move |source| OpenError::Io { doing, path: path.clone(), source };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("cannot create the audit directory"))?;
    let directory = Directory::lock(path)?;
    let names = directory.names().map_err(failed("cannot read the audit directory"))?;
    // Files of an interrupted creation are not a log yet.
    if names.iter().any(|name| !name.starts_with(names::PREPARED_PREFIX)) {
        return Err(OpenError::Exists { path: path.clone() });
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| {
        failed("cannot read randomness from the kernel for the audit log")(io::Error::other(
            error.to_string(),
        ))
    })?;
    Appender::create(&directory, layout, random).map_err(failed("cannot create the audit log"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed("cannot sync the directory above"))
}

/// Opens the log and starts the thread.
pub(crate) fn start(settings: &Settings, boot: &BuildInfo, queue: Arc<Queue>) -> Result<Started, OpenError> {
    let layout = layout(settings)?;
    let path = &settings.directory;
    let failed = |doing| move |source| OpenError::Io { doing, path: path.clone(), source };
    let mut epoch = [0; 16];
    getrandom::fill(&mut epoch).map_err(|error| {
        failed("cannot read randomness from the kernel for the audit log")(io::Error::other(
            error.to_string(),
        ))
    })?;
    let kernel_boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let opening = RunInfo { boot: boot.clone(), kernel_boot: kernel_boot.trim_end().to_owned(), epoch };
    let directory = Directory::lock(path)?;
    let (appender, open_intents) = Appender::open(directory, path, layout, &opening)?;
    let published = Arc::new(DurableHead::new(appender.head()));
    let clock = Clock::new(RecordTime::now());
    let mut writer = Writer { appender, queue, published: published.clone(), clock };
    let thread = std::thread::Builder::new()
        .name("audit-writer".to_owned())
        .spawn(move || writer.run())
        .map_err(failed("cannot start the writer thread"))?;
    Ok(Started { thread, published, open_intents })
}

fn layout(settings: &Settings) -> Result<Layout, OpenError> {
    let Settings { segment_bytes, daily, .. } = *settings;
    let refused = |reason| Err(OpenError::Setting { setting: "segment_bytes", reason });
    match segment_bytes {
        0..65_536 => refused("must be at least 65536"),
        bytes if bytes % HEADER_BYTES != 0 => refused("must be a multiple of 4096"),
        _ => Ok(Layout { segment_bytes, daily }),
    }
}

struct Writer<D: Disk> {
    appender: Appender<D>,
    queue: Arc<Queue>,
    published: Arc<DurableHead>,
    clock: Clock,
}

impl<D: Disk> Writer<D> {
    fn run(&mut self) {
        loop {
            let taken = match self.queue.take(Duration::from_secs(60)) {
                Batch::Records(mut batch) => {
                    mark_clock_steps(&mut self.clock, &mut batch);
                    Batch::Records(batch)
                }
                Batch::Idle => {
                    let now = RecordTime::now();
                    match self.clock.step(now) {
                        Some(moved_ms) => Batch::Records(vec![clock_step(moved_ms, now)]),
                        None => Batch::Idle,
                    }
                }
                Batch::Closed => Batch::Closed,
            };
            match taken {
                Batch::Records(batch) => {
                    if let Err(cause) = self.commit(batch)
                        && !self.reopened(&cause)
                    {
                        return;
                    }
                }
                Batch::Idle => {}
                Batch::Closed => break,
            }
        }
        if let Err(error) = self.appender.stop() {
            self.latch(&error, Vec::new());
        }
        self.publish();
    }

    /// Makes a batch durable and acknowledges it, or refuses all intents from now on.
    fn commit(&mut self, batch: Vec<QueuedRecord>) -> Result<(), Arc<str>> {
        self.published.set_busy(true);
        let begun = Instant::now();
        let appended = self.appender.append(&batch);
        self.published.set_busy(false);
        let receipts = match appended {
            Ok(receipts) => receipts,
            Err(error) => return Err(self.latch(&error, batch)),
        };
        self.acknowledge(batch, receipts, begun);
        Ok(())
    }

    fn acknowledge(&mut self, batch: Vec<QueuedRecord>, receipts: Vec<Receipt>, begun: Instant) {
        metrics::committed(batch.len(), begun.elapsed());
        self.publish();
        let mut acks = Acks::default();
        for (entry, receipt) in batch.into_iter().zip(receipts) {
            match entry.ack {
                AckKind::Intent { ack, .. } => acks.intent(ack, receipt),
                AckKind::Outcome { ack: Some(ack), .. } | AckKind::Note { ack: Some(ack) } => {
                    acks.note(ack, receipt);
                }
                AckKind::Outcome { ack: None, .. } | AckKind::Note { ack: None } => {}
            }
        }
        acks.send(self.queue.runtime());
    }

    /// Writes to the reserved end of the segment. Once that fails, nothing at all can be written.
    fn commit_reserved(&mut self, cause: &Arc<str>, batch: Vec<QueuedRecord>) {
        let begun = Instant::now();
        match self.appender.append_reserved(&batch) {
            Ok(receipts) => self.acknowledge(batch, receipts, begun),
            Err(error) => {
                tracing::error!(%error, "the reserved end of the audit segment cannot be written");
                self.queue.latch(cause, batch, false);
            }
        }
    }

    fn latch(&self, error: &io::Error, batch: Vec<QueuedRecord>) -> Arc<str> {
        self.published.set_writable(false);
        metrics::commit_failed();
        let cause: Arc<str> = Arc::from(error.to_string());
        tracing::error!(%cause, segment = %self.appender.active.name, "the audit log cannot be written: nothing is signed");
        self.queue.latch(&cause, batch, self.appender.has_reserve());
        cause
    }

    /// Tries to continue in a new segment, with growing pauses; false when the log was closed in
    /// the meantime.
    fn reopened(&mut self, cause: &Arc<str>) -> bool {
        let mut pause = Duration::from_millis(100);
        let mut next = Instant::now() + pause;
        loop {
            match self.queue.take_reserved(next.saturating_duration_since(Instant::now())) {
                Batch::Records(batch) => self.commit_reserved(cause, batch),
                Batch::Idle => {}
                Batch::Closed => return false,
            }
            if Instant::now() < next {
                continue;
            }
            match self.appender.resume(cause) {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "the audit log still cannot be written"),
            }
            pause = (pause * 2).min(Duration::from_secs(5));
            next = Instant::now() + pause;
        }
        tracing::warn!(segment = %self.appender.active.name, "the audit log continues in a new segment");
        self.publish();
        self.queue.unlatch();
        self.published.set_writable(true);
        true
    }

    fn publish(&mut self) {
        let sealed = std::mem::take(&mut self.appender.sealed);
        self.published.advance(self.appender.head(), sealed);
    }
}

fn clock_step(moved_ms: i64, time: RecordTime) -> QueuedRecord {
    QueuedRecord { body: clock_step_body(moved_ms, time.mono_ns), time, ack: AckKind::Note { ack: None } }
}

/// Puts a note of each step of the clock before the first record that was stamped after it.
fn mark_clock_steps(clock: &mut Clock, batch: &mut Vec<QueuedRecord>) {
    let mut at = 0;
    while let Some(time) = batch.get(at).map(|entry| entry.time) {
        if let Some(moved_ms) = clock.step(time) {
            batch.insert(at, clock_step(moved_ms, time));
            at += 1;
        }
        at += 1;
    }
}

/// However the thread ends, no task waits for it any longer.
impl<D: Disk> Drop for Writer<D> {
    fn drop(&mut self) {
        self.appender.finish_rotation();
        self.queue.end();
        self.published.end();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn time(wall: u64, mono: u64) -> RecordTime {
        RecordTime { wall_ns: wall * SECOND, mono_ns: mono * SECOND }
    }

    #[test]
    fn a_clock_that_is_set_forward_or_back_is_noted_once_before_the_first_record_after_it() {
        let mut clock = Clock::new(time(1_000, 10));
        let times = [(1_001, 11), (1_003, 11), (4_600, 12), (4_601, 13), (3_600, 14), (3_601, 15)];
        let entry = |(wall, mono)| QueuedRecord {
            body: b"\"kind\":\"event\"}".to_vec(),
            time: time(wall, mono),
            ack: AckKind::Note { ack: None },
        };
        let mut batch: Vec<_> = times.into_iter().map(entry).collect();
        mark_clock_steps(&mut clock, &mut batch);
        let said: Vec<_> = batch.iter().map(|entry| String::from_utf8(entry.body.clone()).unwrap()).collect();
        let steps: Vec<_> = said.iter().enumerate().filter(|(_, body)| body.contains("clock_step")).collect();
        assert_eq!(steps.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 5], "{said:?}");
        assert!(steps[0].1.contains("\"moved_ms\":3598000"), "{said:?}");
        assert!(steps[1].1.contains("\"moved_ms\":-1002000"), "{said:?}");
        assert!(clock.step(time(3_602, 16)).is_none());
    }
}
