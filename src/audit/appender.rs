//! Gives records their place, chains them and makes them durable.
//!
//! Not for: threads (`writer`).

use std::fs::File;
use std::io::{self, Write};

use super::merkle::{Frontier, Hash, leaf_hash};
use super::queue::Entry;
use super::record::{Stamp, prefix, start_body, stop_body};
use super::settings::{BootFacts, Head, LogId, OpenError, Receipt, Settings, Unsettled};
use super::writer::io_error;

pub(crate) struct Appender {
    file: File,
    log: LogId,
    boot: [u8; 8],
    frontier: Frontier,
    last: Hash,
}

impl Appender {
    pub(crate) fn create(settings: &Settings) -> Result<(), OpenError> {
        let path = &settings.directory;
        if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(OpenError::Exists { path: path.clone() });
        }
        std::fs::create_dir_all(path)
            .map_err(|source| io_error("cannot create the directory", path, source))?;
        File::create_new(path.join("log"))
            .and_then(|file| file.sync_all())
            .map_err(|source| io_error("cannot create the log", path, source))
    }

    pub(crate) fn open(settings: Settings, boot: &BootFacts) -> Result<(Self, Vec<Unsettled>), OpenError> {
        let path = settings.directory.join("log");
        let file = File::options()
            .append(true)
            .open(&path)
            .map_err(|source| io_error("cannot open the log", &path, source))?;
        let log = LogId([0; 16]);
        let mut this = Self { file, log, boot: [0; 8], frontier: Frontier::default(), last: [0; 32] };
        let body = start_body(boot, &log.0, "", 0);
        this.write([(Stamp::now(), body.as_slice())])
            .map_err(|source| io_error("cannot write the start record", &path, source))?;
        Ok((this, Vec::new()))
    }

    pub(crate) fn append(&mut self, batch: &[Entry]) -> io::Result<Vec<Receipt>> {
        self.write(batch.iter().map(|entry| (entry.stamp, entry.body.as_slice())))
    }

    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.write([(Stamp::now(), stop_body().as_slice())]).map(|_| ())
    }

    pub(crate) fn head(&self) -> Head {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        Head { log: self.log, size, record_hash: self.last, root }
    }

    fn write<'a>(
        &mut self,
        records: impl IntoIterator<Item = (Stamp, &'a [u8])>,
    ) -> io::Result<Vec<Receipt>> {
        let mut bytes = Vec::new();
        let mut receipts = Vec::new();
        for (stamp, body) in records {
            let start = bytes.len();
            let seq = self.frontier.size();
            prefix(&mut bytes, seq, &self.last, stamp, &self.boot);
            bytes.extend_from_slice(body);
            self.last = leaf_hash(bytes.get(start..).unwrap_or_default());
            self.frontier.push(self.last);
            bytes.push(b'\n');
            receipts.push(Receipt { seq, log: self.log, record_hash: self.last });
        }
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        Ok(receipts)
    }
}
