//! The user PIN, in a guarded page of its own for as long as a new login may be needed. Not for checking its file.

use std::io::Read;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::Arena;
use super::map::{ArenaError, Mapping, SecretMemoryPolicy};
use super::slot::{CIPHER_STACK_LEN, SLOT_LEN, Slot};

/// Longest PIN, bytes.
pub(crate) const PIN_MAX: usize = 255;

/// A PIN that only [`ExposeSecret`] shows.
pub(crate) struct Pin {
    slot: Slot,
    length: usize,
    policy: SecretMemoryPolicy,
    _mapping: Mapping,
}

/// Why there is no PIN.
#[derive(Debug)]
pub(crate) enum PinReadError {
    Empty,
    TooLong,
    Io(std::io::Error),
    Memory(ArenaError),
}

impl Pin {
    /// Reads one line straight into the guarded page; a last newline is not part of the PIN.
    pub(crate) fn read(source: &mut impl Read, policy: SecretMemoryPolicy) -> Result<Self, PinReadError> {
        let mapping = Mapping::new(&[SLOT_LEN, CIPHER_STACK_LEN], policy).map_err(PinReadError::Memory)?;
        let slot = Slot { start: mapping.part(0), stack: mapping.part(1) };
        let mut pin = Self { slot, length: 0, policy, _mapping: mapping };
        let page = pin.slot.page();
        let mut filled = 0;
        while let Some(rest) = page.get_mut(filled..PIN_MAX + 3) {
            match source.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PinReadError::Io(error)),
            }
        }
        let text = page.get(..filled).unwrap_or_default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > PIN_MAX || text.contains(&b'\n') {
            return Err(PinReadError::TooLong);
        }
        if text.is_empty() {
            return Err(PinReadError::Empty);
        }
        pin.length = text.len();
        Ok(pin)
    }

    /// SHA-256 of salt and PIN, computed on a guarded stack: what may leave guarded memory in its place.
    pub(crate) fn digest(&self, salt: &[u8; 16]) -> Result<[u8; 32], ArenaError> {
        let mut arena = Arena::new(self.policy)?;
        let hash = || Sha256::new().chain_update(salt).chain_update(self.expose_secret()).finalize().into();
        let (_, stack) = arena.parts();
        // A panic in SHA-256 leaves nothing to continue with.
        Ok(stack.run(hash).unwrap_or_else(|_| std::process::abort()))
    }
}

impl ExposeSecret<[u8]> for Pin {
    fn expose_secret(&self) -> &[u8] {
        self.slot.bytes().get(..self.length).unwrap_or_default()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.slot.wipe();
    }
}
