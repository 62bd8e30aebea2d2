//! The one thread that writes: takes what waits, makes it durable together, answers everybody.
//!
//! Not for: what the bytes look like (`appender`), who may hand in (`queue`).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::appender::Appender;
use super::log::{Published, Settlement};
use super::queue::{Entry, Queue, Role, Taken};
use super::settings::{BootFacts, OpenError, Settings, Unsettled};

pub(crate) struct Started {
    pub(crate) thread: JoinHandle<()>,
    pub(crate) published: Arc<Published>,
    pub(crate) unsettled: Vec<Unsettled>,
}

pub(crate) fn create(settings: &Settings) -> Result<(), OpenError> {
    Appender::create(settings)
}

pub(crate) fn start(settings: Settings, boot: &BootFacts, queue: Arc<Queue>) -> Result<Started, OpenError> {
    let directory = settings.directory.clone();
    let (appender, unsettled) = Appender::open(settings, boot)?;
    let published =
        Arc::new(Published { writable: AtomicBool::new(true), head: Mutex::new(appender.head()) });
    let mut writer = Writer { appender, queue, published: published.clone() };
    let thread = std::thread::Builder::new()
        .name("audit-writer".to_owned())
        .spawn(move || writer.run())
        .map_err(|source| io_error("cannot start the writer thread", &directory, source))?;
    Ok(Started { thread, published, unsettled })
}

pub(crate) fn io_error(doing: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { doing, path: path.to_owned(), source }
}

struct Writer {
    appender: Appender,
    queue: Arc<Queue>,
    published: Arc<Published>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            match self.queue.take(Duration::from_secs(3600)) {
                Taken::Batch(batch) => self.commit(batch),
                Taken::Idle => {}
                Taken::Closed => break,
            }
        }
        let _ = self.appender.stop();
        self.publish();
    }

    fn commit(&mut self, batch: Vec<Entry>) {
        match self.appender.append(&batch) {
            Ok(receipts) => {
                self.publish();
                for (entry, receipt) in batch.into_iter().zip(receipts) {
                    match entry.role {
                        Role::Intent { ack, labels } => {
                            let _ = ack.send(Ok(Settlement::new(receipt, labels, self.queue.clone())));
                        }
                        Role::Outcome { ack: Some(ack), .. } | Role::Note { ack: Some(ack) } => {
                            let _ = ack.send(Ok(receipt));
                        }
                        Role::Outcome { ack: None, .. } | Role::Note { ack: None } => {}
                    }
                }
            }
            Err(error) => {
                self.published.writable.store(false, Ordering::Release);
                self.queue.latch(&Arc::from(error.to_string()), batch);
            }
        }
    }

    fn publish(&self) {
        *self.published.head.lock().unwrap_or_else(PoisonError::into_inner) = self.appender.head();
    }
}
