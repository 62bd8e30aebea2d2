//! What the readers of the audit log make of any bytes: the body of the fuzz target `audit_reader` and of its short form.
//!
//! The first byte says what the rest is: changes of a golden log, with its checksums repaired or not; the changed log in
//! compressed form, or any bytes in that place; or a text that comes from outside.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what goes wrong should panic"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use audit_log::{
    Filter, InclusionProof, KnownHead, LogId, PublicKey, Receipt, VerifierKey, compress, export, lines, tail,
    verify,
};

const GOLDEN: &[u8] = include_bytes!("../../golden/log-v2/seg-00000000000000000000.log");
const HEADER: usize = 4096;

/// Reads a log that consists of these bytes, in an empty directory of the caller's. No panic, no hang, and no record is
/// given out that was not written.
pub fn read(directory: &Path, data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else { return };
    let plain = directory.join("seg-00000000000000000000.log");
    let packed = directory.join("seg-00000000000000000000.log.zst");
    for path in [&plain, &packed] {
        let _ = fs::remove_file(path);
    }
    match kind % 5 {
        0 => write(&plain, &changed(rest, false)),
        1 => write(&plain, &changed(rest, true)),
        2 => write(&packed, &zstd::encode_all(&changed(rest, true)[..], 1).unwrap()),
        3 => write(&packed, rest),
        _ => return text(rest),
    }
    let golden = golden();
    let report = verify(directory);
    for line in lines(directory, 0, None).unwrap() {
        let Ok(line) = line else { break };
        // On disk the hash of the record before is left out.
        let (head, rest) = line.json.split_once("\"prev\":\"").unwrap();
        let stored = format!("{head}{}", &rest[45..]);
        assert_eq!(golden.get(line.seq as usize), Some(&stored.as_str()), "a record that was never written");
    }
    if let Ok(report) = report
        && report.is_sound()
    {
        assert!(report.records <= golden.len() as u64);
    }
    let _ = tail(directory, 3, None).map(|lines| lines.count());
    let _ = export(directory, Filter::default()).map(|lines| lines.take(100).count());
    let _ = compress(directory, 0);
}

#[allow(clippy::disallowed_methods, reason = "the system compares the time of a file with its own")]
/// Last written long ago: a reader is patient with a file that is being written.
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3_600);
    fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

/// The records of the golden log.
fn golden() -> Vec<&'static str> {
    let mut records = Vec::new();
    let mut at = HEADER;
    while GOLDEN[at..].starts_with(b"AVKF") {
        let number = |at: usize| u32::from_be_bytes(GOLDEN[at..at + 4].try_into().unwrap()) as usize;
        let (count, len) = (number(at + 24), number(at + 28));
        let mut from = at + 84;
        for _ in 0..count {
            let end = from + 8 + number(from);
            records.push(std::str::from_utf8(&GOLDEN[from + 8..end]).unwrap());
            from = end;
        }
        at += (84 + len + 36).next_multiple_of(512);
    }
    records
}

/// The golden log with changes of four bytes each: where, how, what.
fn changed(changes: &[u8], repaired: bool) -> Vec<u8> {
    let mut bytes = GOLDEN.to_vec();
    let written = HEADER + 32 * 512;
    for change in changes.chunks_exact(4).take(64) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % written;
        // The bytes may have become fewer on the way here.
        match change[2] % 4 {
            0 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte = change[3]),
            1 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (change[3] % 8)),
            2 => bytes.iter_mut().skip(place / 512 * 512).take(512).for_each(|byte| *byte = change[3]),
            _ => bytes.truncate(bytes.len().saturating_sub(usize::from(change[3]) * 16).max(16)),
        }
    }
    if repaired && bytes.len() >= HEADER {
        seal(&mut bytes[..HEADER], HEADER - 4);
        let mut at = HEADER;
        while at + 84 <= bytes.len() && bytes[at..].starts_with(b"AVKF") {
            seal(&mut bytes[at..], 80);
            let len = u32::from_be_bytes(bytes[at + 28..at + 32].try_into().unwrap()) as usize;
            let end = 84 + len + 32;
            if at + end + 4 > bytes.len() {
                break;
            }
            seal(&mut bytes[at..], end);
            at += (end + 4).next_multiple_of(512);
        }
    }
    bytes
}

/// Computes the checksum at `at`, which covers everything before it.
fn seal(bytes: &mut [u8], at: usize) {
    let crc = crc32c::crc32c(&bytes[..at]).to_be_bytes();
    bytes[at..at + 4].copy_from_slice(&crc);
}

/// Checkpoints, proofs, keys and arguments of the command line.
fn text(bytes: &[u8]) {
    let key = VerifierKey::new("example.test/log", PublicKey::Ed25519([0xd7; 32]));
    let words = String::from_utf8_lossy(bytes);
    if let Ok(past) = words.parse::<KnownHead>() {
        assert_eq!(past.to_string().parse(), Ok(past));
    }
    if let Ok(log) = words.parse::<LogId>() {
        assert_eq!(log.to_string().parse(), Ok(log));
    }
    if let Ok(key) = words.parse::<VerifierKey>() {
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap().to_string(), key.to_string());
    }
    if let Ok(key) = key {
        assert!(key.open(bytes).is_err(), "no one has the secret of this key");
        let log = "00".repeat(16).parse().unwrap();
        let receipt = Receipt { seq: 0, log, record_hash: [0; 32] };
        assert!(InclusionProof::verify_receipt(&words, &key, &receipt).is_err());
    }
}
