//! PINs that the token refused, remembered across restarts: none is presented twice, whatever restarts the process.
//!
//! A line holds the token's serial, a salt and the scrypt of a digest of the PIN (RFC 7914, N = 2^15, r = 8, p = 1).
//! Not for presenting a PIN.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use scrypt::Params;
use subtle::ConstantTimeEq;
use trusted_files::{FileProblem, Readers};

use crate::arena::Pin;
use crate::error::OpenError;

/// Refused PINs that are remembered; an older one is forgotten.
const REMEMBERED_MAX: usize = 4;
/// Longest file that is read, bytes.
const FILE_MAX: u64 = 16 * 1024;
const LOG_N: u8 = 15;

/// The file of the refused PINs of one installation.
#[derive(Clone, Debug)]
pub(crate) struct RefusedPins {
    path: Option<PathBuf>,
}

impl RefusedPins {
    /// None: nothing is remembered.
    pub(crate) const fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// Refuses a PIN that this token refused before.
    pub(crate) fn check(&self, serial: &str, pin: &Pin) -> Result<(), OpenError> {
        let Some(path) = &self.path else { return Ok(()) };
        for line in read(path).iter().filter(|line| line.serial == hex::encode(serial)) {
            if bool::from(derive(pin, &line.salt)?.ct_eq(&line.derived)) {
                return Err(OpenError::PinRefusedBefore { record: path.clone() });
            }
        }
        Ok(())
    }

    /// Remembers a PIN that this token has just refused.
    pub(crate) fn remember(&self, serial: &str, pin: &Pin) {
        let Some(path) = &self.path else { return };
        let remembered = || -> Result<(), Box<dyn std::error::Error>> {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt)?;
            let mut lines = read(path);
            lines.push(Line { serial: hex::encode(serial), salt, derived: derive(pin, &salt)? });
            let first = lines.len().saturating_sub(REMEMBERED_MAX);
            let text: String = lines.iter().skip(first).map(Line::to_text).collect();
            trusted_files::write_atomically(path, text.as_bytes(), 0o600)?;
            Ok(())
        };
        if let Err(error) = remembered() {
            tracing::error!(path = %path.display(), %error, "the refused PIN could not be remembered: do not restart the service before the PIN is corrected");
        }
    }

    /// This token took a PIN: what it refused before is of no interest. What another refused still counts.
    pub(crate) fn forget(&self, serial: &str) {
        let Some(path) = &self.path else { return };
        let mut others = read(path);
        others.retain(|line| line.serial != hex::encode(serial));
        let forgotten = if others.is_empty() {
            std::fs::remove_file(path)
        } else {
            let text: String = others.iter().map(Line::to_text).collect();
            trusted_files::write_atomically(path, text.as_bytes(), 0o600).map_err(io::Error::other)
        };
        match forgotten {
            Ok(()) => {
                tracing::info!(path = %path.display(), "the token accepted the PIN; refused ones are forgotten")
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "refused PINs could not be forgotten")
            }
        }
    }
}

/// One refused PIN.
struct Line {
    /// Hex: a serial may hold any character.
    serial: String,
    salt: [u8; 16],
    derived: [u8; 32],
}

impl Line {
    fn to_text(&self) -> String {
        format!("1 {} {} {}\n", self.serial, hex::encode(self.salt), hex::encode(self.derived))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (version, serial) = (parts.next()?, parts.next()?.to_owned());
        let mut line = Self { serial, salt: [0; 16], derived: [0; 32] };
        hex::decode_to_slice(parts.next()?, &mut line.salt).ok()?;
        hex::decode_to_slice(parts.next()?, &mut line.derived).ok()?;
        (version == "1" && parts.next().is_none()).then_some(line)
    }
}

/// What is remembered. A file that cannot be read costs one try of the PIN, and not the service.
fn read(path: &Path) -> Vec<Line> {
    let mut text = String::new();
    let read = match trusted_files::open(path, Readers::Owner) {
        Err(error) if matches!(error.problem, FileProblem::Missing) => return Vec::new(),
        Err(error) => Err(error.to_string()),
        Ok(file) => file.take(FILE_MAX).read_to_string(&mut text).map_err(|error| error.to_string()),
    };
    if let Err(error) = read {
        tracing::warn!(path = %path.display(), error, "the record of refused PINs cannot be read");
        return Vec::new();
    }
    text.lines().filter_map(Line::parse).collect()
}

/// The PIN itself never reaches scrypt, which keeps its input in ordinary memory: a digest of it does.
fn derive(pin: &Pin, salt: &[u8; 16]) -> Result<[u8; 32], OpenError> {
    let failed = |source| OpenError::Host { what: "the refused PIN cannot be compared", source };
    let digest = pin.digest(salt)?;
    let mut derived = [0; 32];
    let params = Params::new(LOG_N, 8, 1, derived.len());
    let params = params.map_err(|error| failed(io::Error::other(error)))?;
    scrypt::scrypt(&digest, salt, &params, &mut derived).map_err(|error| failed(io::Error::other(error)))?;
    Ok(derived)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)] // a failed unwrap is a failed test
    use super::*;
    use crate::arena::SecretMemoryPolicy;

    fn pin(text: &str) -> Pin {
        Pin::read(&mut text.as_bytes(), SecretMemoryPolicy::PreferSecret)
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn record() -> (tempfile::TempDir, RefusedPins, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin-refused");
        (directory, RefusedPins::new(Some(path.clone())), path)
    }

    #[test]
    fn a_refused_pin_is_known_again_and_another_token_or_pin_is_not_refused() {
        let (_directory, refused, path) = record();
        refused.check("serial", &pin("1234")).unwrap();
        refused.remember("serial", &pin("1234"));
        assert!(matches!(refused.check("serial", &pin("1234\n")), Err(OpenError::PinRefusedBefore { .. })));
        refused.check("serial", &pin("1235")).unwrap();
        refused.check("other", &pin("1234")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("1234") && text.lines().count() == 1, "{text}");
        refused.remember("serial", &pin("1235"));
        assert!(refused.check("serial", &pin("1234")).is_err(), "the first is remembered beside the second");
        refused.remember("other", &pin("1234"));
        refused.forget("serial");
        refused.check("serial", &pin("1234")).unwrap();
        assert!(refused.check("other", &pin("1234")).is_err(), "another token refused it");
        refused.forget("other");
        assert!(!path.exists());
        refused.forget("serial");
    }

    #[test]
    fn the_newest_are_remembered_and_a_spoiled_record_stops_nothing() {
        let (_directory, refused, path) = record();
        for number in 0..=REMEMBERED_MAX {
            refused.remember("s", &pin(&number.to_string()));
        }
        refused.check("s", &pin("0")).unwrap();
        for number in 1..=REMEMBERED_MAX {
            assert!(refused.check("s", &pin(&number.to_string())).is_err());
        }
        for spoiled in ["", "\n\n", "2 00 00 00\n", "1 zz\n", "1 73 00 00", "\u{0}"] {
            std::fs::write(&path, spoiled).unwrap();
            refused.check("s", &pin("1")).unwrap();
        }
        std::fs::write(&path, [0xff; 64]).unwrap();
        refused.check("s", &pin("1")).unwrap();
        refused.remember("s", &pin("1"));
        assert!(refused.check("s", &pin("1")).is_err());
    }
}
