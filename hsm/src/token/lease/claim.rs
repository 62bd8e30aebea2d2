//! Content of a lease: the process that holds the token, its installation, and the boot of its host. Public. Not for
//! deciding which one holds it.

use std::fmt;

use crate::error::OpenError;

/// Its first line.
const FORMAT: &str = "avs-kms lease 1";
/// Longest name of a host that is stored.
const HOST_MAX: usize = 64;

/// One process of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) installation: [u8; 16],
    /// Random, of this process alone.
    pub(crate) process: [u8; 16],
    /// The kernel's id of the boot; empty where it tells none.
    pub(crate) boot: String,
    /// Device and inode of the lock file that the process holds.
    pub(crate) lock: (u64, u64),
    pub(crate) pid: u32,
    pub(crate) host: String,
}

impl Claim {
    /// This process.
    pub(crate) fn of_this_process(
        installation: [u8; 16],
        boot: String,
        lock: (u64, u64),
    ) -> Result<Self, OpenError> {
        let mut process = [0; 16];
        getrandom::fill(&mut process)?;
        let named = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let is_usual = |letter: &char| letter.is_ascii_alphanumeric() || "-._".contains(*letter);
        let host = named.chars().filter(is_usual).take(HOST_MAX).collect();
        Ok(Self { installation, process, boot, lock, pid: std::process::id(), host })
    }

    /// Whether that process had the lock that the caller holds now, on this boot: it has ended. Also one of another
    /// installation, as an interrupted `init` leaves it.
    pub(crate) fn has_ended(&self, boot: &str, lock: (u64, u64)) -> bool {
        !boot.is_empty() && self.boot == boot && self.lock == lock
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { installation, process, boot, lock: (device, inode), pid, host } = self;
        let (installation, process) = (hex::encode(installation), hex::encode(process));
        format!("{FORMAT}\n{installation}\n{process}\n{boot}\n{device}:{inode}\n{pid}\n{host}\n").into_bytes()
    }

    /// None for a value that an interrupted creation left, or that another program wrote.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let lines: Vec<_> = std::str::from_utf8(value).ok()?.lines().collect();
        let [FORMAT, installation, process, boot, lock, pid, host] = lines[..] else { return None };
        let bytes = |text: &str| {
            let mut bytes = [0; 16];
            hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
        };
        let (device, inode) = lock.split_once(':')?;
        Some(Self {
            installation: bytes(installation)?,
            process: bytes(process)?,
            boot: boot.to_owned(),
            lock: (device.parse().ok()?, inode.parse().ok()?),
            pid: pid.parse().ok()?,
            host: host.to_owned(),
        })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { installation, boot, pid, host, .. } = self;
        write!(
            f,
            "process {pid} on host {host:?} (boot {boot:?}) of installation {}",
            hex::encode(installation)
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed unwrap is a failed test
    use super::*;

    fn claim() -> Claim {
        Claim::of_this_process([7; 16], "0a1b".to_owned(), (64769, 1234)).unwrap()
    }

    #[test]
    fn a_claim_reads_as_it_was_written_and_nothing_else_reads() {
        let value = claim().encode();
        assert!(value.len() < 512);
        let read = Claim::parse(&value).unwrap();
        assert_eq!(read.encode(), value);
        for cut in 0..value.len() - 1 {
            assert_ne!(Claim::parse(&value[..cut]).as_ref(), Some(&read), "{cut}");
        }
        assert_eq!(Claim::parse(b""), None);
        assert_eq!(Claim::parse(b"avs-kms lease 2\n"), None);
    }

    #[test]
    fn a_process_has_ended_if_its_lock_is_held_on_the_same_boot() {
        let earlier = claim();
        assert!(earlier.has_ended("0a1b", (64769, 1234)));
        for (boot, lock) in [("0a1c", (64769, 1234)), ("0a1b", (64769, 1235)), ("0a1b", (64770, 1234))] {
            assert!(!earlier.has_ended(boot, lock), "{boot} {lock:?}");
        }
        let unknown = Claim { boot: String::new(), ..earlier };
        assert!(!unknown.has_ended("", unknown.lock));
    }
}
