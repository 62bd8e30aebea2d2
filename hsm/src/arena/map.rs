//! Mapping and locking of the guarded pages. Not for their use.
#![allow(unsafe_code)] // part of the arena: mmap and its relatives

use std::io;
use std::ptr;

/// Why memory for secrets could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// The kernel has no `memfd_secret` and the settings insist on it.
    #[error("the kernel gives no memfd_secret ({0}), and require_secret_memory insists on it")]
    NoSecretMemory(#[source] io::Error),
    /// The limit on locked memory is too low.
    #[error(
        "RLIMIT_MEMLOCK is {limit} bytes, too few to lock {needed} more; raise it (ulimit -l, LimitMEMLOCK=)"
    )]
    LockLimit {
        /// The soft limit, bytes.
        limit: u64,
        /// Bytes that were to be locked.
        needed: usize,
    },
    /// Another refusal of the kernel.
    #[error("{call} failed")]
    System {
        /// The system call.
        call: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Kind of memory that holds scalars for the length of one multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMemory {
    /// `memfd_secret(2)`: no other process reads it, root included; absent from dumps.
    MemfdSecret,
    /// Anonymous locked pages, left out of dumps and forks; root can read them.
    LockedPages,
}

impl SecretMemory {
    /// Its name in the log and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemfdSecret => "memfd_secret",
            Self::LockedPages => "locked_pages",
        }
    }
}

/// Which memory will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretMemoryPolicy {
    /// `memfd_secret` or nothing.
    RequireSecret,
    /// `memfd_secret`, else locked pages.
    PreferSecret,
    /// Locked pages: what older kernels get.
    #[cfg_attr(not(test), allow(dead_code))] // chosen by tests; at run time it is the fallback
    LockedPages,
}

/// One reservation with guard pages around each part.
pub(super) struct Mapping {
    base: *mut u8,
    length: usize,
    parts: Vec<Part>,
    kind: SecretMemory,
}

/// Whole pages of a reservation. What is asked for ends where they end, so that an overrun hits the guard.
#[derive(Clone, Copy, Default)]
struct Part {
    offset: usize,
    /// Bytes, a multiple of the kernel's page size.
    size: usize,
    /// Bytes of the first page that are not used.
    lead: usize,
}

// SAFETY: the mapping belongs to this value alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Reserves, maps and locks parts of these sizes.
    pub(super) fn new(sizes: &[usize], policy: SecretMemoryPolicy) -> Result<Self, ArenaError> {
        Self::with_page(sizes, rustix::param::page_size(), policy)
    }

    /// `page` is a multiple of the kernel's page size, which is 4, 16 or 64 KiB on aarch64.
    pub(super) fn with_page(
        sizes: &[usize],
        page: usize,
        policy: SecretMemoryPolicy,
    ) -> Result<Self, ArenaError> {
        let mut parts = Vec::with_capacity(sizes.len());
        let mut length = page;
        for wanted in sizes {
            let size = wanted.next_multiple_of(page);
            parts.push(Part { offset: length, size, lead: size - wanted });
            length += size + page;
        }
        let data = parts.iter().map(|part| part.size).sum();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous reservation without access, at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(failed("mmap"));
        }
        let kind = SecretMemory::MemfdSecret;
        let mut mapping = Self { base: base.cast(), length, parts, kind };
        mapping.fill(policy, data)?;
        Ok(mapping)
    }

    fn fill(&mut self, policy: SecretMemoryPolicy, data: usize) -> Result<(), ArenaError> {
        match policy {
            SecretMemoryPolicy::RequireSecret => match secret_file(data) {
                Ok(file) => self.map_secret(&file, data),
                Err(error) => Err(ArenaError::NoSecretMemory(error)),
            },
            SecretMemoryPolicy::PreferSecret => match secret_file(data) {
                Ok(file) => self.map_secret(&file, data),
                Err(_) => self.lock_pages(data),
            },
            SecretMemoryPolicy::LockedPages => self.lock_pages(data),
        }
    }

    fn map_secret(&mut self, file: &std::fs::File, data: usize) -> Result<(), ArenaError> {
        use std::os::fd::AsRawFd;
        let mut offset = 0;
        for Part { offset: at, size, .. } in self.parts.clone() {
            let (start, flags) = (self.at(at), libc::MAP_SHARED | libc::MAP_FIXED);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: replaces pages inside our own reservation; the file has `data` bytes.
            let mapped = unsafe {
                libc::mmap(start.cast(), size, access, flags, file.as_raw_fd(), offset as libc::off_t)
            };
            if mapped == libc::MAP_FAILED {
                return Err(lock_failed("mmap of memfd_secret", data));
            }
            advise(start, size, libc::MADV_DONTFORK, "madvise(MADV_DONTFORK)")?;
            touch(start, size);
            offset += size;
        }
        self.kind = SecretMemory::MemfdSecret;
        Ok(())
    }

    fn lock_pages(&mut self, data: usize) -> Result<(), ArenaError> {
        for Part { offset, size, .. } in self.parts.clone() {
            let start = self.at(offset);
            // SAFETY: pages of our own reservation.
            if unsafe { libc::mprotect(start.cast(), size, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
                return Err(failed("mprotect"));
            }
            advise(start, size, libc::MADV_DONTDUMP, "madvise(MADV_DONTDUMP)")?;
            advise(start, size, libc::MADV_DONTFORK, "madvise(MADV_DONTFORK)")?;
            // SAFETY: as above.
            if unsafe { libc::mlock(start.cast(), size) } != 0 {
                return Err(lock_failed("mlock", data));
            }
            touch(start, size);
        }
        self.kind = SecretMemory::LockedPages;
        Ok(())
    }

    /// Start of a part.
    pub(super) fn part(&self, index: usize) -> *mut u8 {
        let Part { offset, lead, .. } = self.parts.get(index).copied().unwrap_or_default();
        self.at(offset + lead)
    }

    fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: inside the reservation.
        unsafe { self.base.add(offset) }
    }

    pub(super) fn kind(&self) -> SecretMemory {
        self.kind
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own reservation; owners of its parts are gone. Unmapping unlocks and frees the pages.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

fn secret_file(length: usize) -> io::Result<std::fs::File> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes a flag and gives a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let fd = libc::c_int::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just opened and has no other owner.
    let file = unsafe { std::fs::File::from_raw_fd(fd) };
    file.set_len(length as u64)?;
    Ok(file)
}

fn advise(start: *mut u8, size: usize, advice: libc::c_int, call: &'static str) -> Result<(), ArenaError> {
    // SAFETY: pages of our own reservation.
    if unsafe { libc::madvise(start.cast(), size, advice) } != 0 {
        return Err(failed(call));
    }
    Ok(())
}

/// Brings the pages in now, so that no fault happens with a secret in hand.
fn touch(start: *mut u8, size: usize) {
    // SAFETY: mapped readable and writable.
    unsafe { ptr::write_bytes(start, 0, size) };
}

fn failed(call: &'static str) -> ArenaError {
    ArenaError::System { call, source: io::Error::last_os_error() }
}

/// The kernel says EAGAIN, ENOMEM or EPERM where the limit on locked memory is too low.
fn lock_failed(call: &'static str, needed: usize) -> ArenaError {
    let source = io::Error::last_os_error();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    match (source.raw_os_error(), limit) {
        (Some(libc::EAGAIN | libc::ENOMEM | libc::EPERM), Some(limit)) => {
            ArenaError::LockLimit { limit, needed }
        }
        _ => ArenaError::System { call, source },
    }
}
