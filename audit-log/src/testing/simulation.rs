//! The appender on a disk that loses, reorders and tears what was not synced, fails, and dies at
//! any operation.
//!
//! Every schedule comes from a seed. A long run: `AVS_KMS_LONG=1` (100,000 schedules; about a
//! minute optimised).

use std::collections::BTreeSet;
use std::path::Path;

use super::world::{Random, World};

use crate::error::OpenError;
use crate::format::encode::outcome_body;
use crate::format::head::Head;
use crate::format::merkle::Hash;
use crate::format::names;
use crate::format::record::{BuildInfo, Outcome};
use crate::format::time::RecordTime;
use crate::format::view::RecordRole;
use crate::read::chain::Chain;
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::header_of;
use crate::storage::disk::Disk;
use crate::write::appender::{Appender, RunInfo};
use crate::write::queue::entry::{AckKind, Lane, QueuedRecord};
use crate::write::segment_rotation::Layout;

const LAYOUT: Layout = Layout { segment_bytes: 16 << 10, daily: false };

/// What clients received.
#[derive(Default)]
struct Told {
    /// The hash of each acknowledged record, by its number.
    records: Vec<(u64, Hash)>,
    heads: Vec<Head>,
    crashes: u64,
}

/// What a reader finds on the disk.
struct Found {
    hashes: Vec<Hash>,
    roots: Vec<(u64, Hash)>,
    open: BTreeSet<u64>,
}

fn read(world: &World) -> Result<Found, String> {
    let mut firsts: Vec<u64> =
        world.names().unwrap().iter().filter_map(|name| names::first_of(name)).collect();
    firsts.sort_unstable();
    let mut found = Found { hashes: Vec::new(), roots: Vec::new(), open: BTreeSet::new() };
    for (index, &first) in firsts.iter().enumerate() {
        let name = names::segment(first);
        let file = world.open(&name).map_err(|error| error.to_string())?;
        let header = header_of(&file, &name).map_err(|error| error.to_string())?;
        let mut chain = Chain::at(&header);
        if found.hashes.len() as u64 != chain.size() {
            return Err(format!("{name} begins at {} after {} records", chain.size(), found.hashes.len()));
        }
        let mut reader = FrameReader::new(&file, &name, header.bytes);
        let end = firsts.get(index + 1).copied().unwrap_or(u64::MAX);
        while chain.size() < end {
            let step = reader.step(&mut chain, |record| {
                found.hashes.push(record.hash);
                match record.view.role() {
                    RecordRole::Opens => drop(found.open.insert(record.view.seq)),
                    RecordRole::Ends(intent) => drop(found.open.remove(&intent)),
                    RecordRole::Neutral => {}
                }
            });
            let FrameEvent::Frame { .. } = step.map_err(|error| error.to_string())? else { break };
            found.roots.push((chain.size(), chain.root));
        }
    }
    Ok(found)
}

/// No acknowledged record is lost or changed, and every acknowledged head is a prefix of the log.
fn check(found: &Found, told: &Told) -> Result<(), String> {
    for (seq, hash) in &told.records {
        if found.hashes.get(*seq as usize) != Some(hash) {
            return Err(format!("acknowledged record {seq} is not there"));
        }
    }
    for head in &told.heads {
        if !found.roots.contains(&(head.size, head.root)) {
            return Err(format!("the head at {} is no prefix any more", head.size));
        }
    }
    Ok(())
}

fn entry(random: &mut Random, open: &BTreeSet<u64>) -> QueuedRecord {
    let filler = "x".repeat(random.below(900) as usize);
    let intent = || {
        let ack = Box::new(|_| ());
        (
            AckKind::Intent { ack, lane: Lane::Ordinary },
            format!("\"kind\":\"intent\",\"fill\":\"{filler}\"}}"),
        )
    };
    let (ack, body) = match (random.below(3), open.first()) {
        (0, Some(&of)) => {
            let body = outcome_body("outcome", of, &Outcome::ok(1), None);
            (AckKind::Outcome { of, ack: None, lane: Lane::Ordinary }, String::from_utf8(body).unwrap())
        }
        (1, _) => (AckKind::Note { ack: None }, format!("\"kind\":\"event\",\"fill\":\"{filler}\"}}")),
        _ => intent(),
    };
    QueuedRecord { body: body.into_bytes(), time: RecordTime::now(), ack }
}

/// One schedule: some lives of the service on one disk, each ended by a kill or a power cut.
fn schedule(seed: u64, lying: bool) -> Result<Told, String> {
    let mut random = Random(seed);
    let world = World::new(&mut random, lying);
    Appender::create(&world, LAYOUT, [9; 32]).unwrap();
    let mut told = Told::default();
    for life in 0..2 + random.below(3) {
        world.trouble(&mut random);
        live(&world, &mut random, &mut told, life as u8)?;
        world.end(&mut random);
        told.crashes += 1;
    }
    world.calm();
    let opening = opening(255);
    let (appender, open_intents) = Appender::open(world.clone(), Path::new("disk"), LAYOUT, &opening)
        .map_err(|error| error.to_string())?;
    let found = read(&world)?;
    check(&found, &told)?;
    let open_intents: BTreeSet<u64> = open_intents.iter().map(|intent| intent.receipt.seq).collect();
    if open_intents != found.open {
        return Err(format!("open intents {:?}, recovery says {open_intents:?}", found.open));
    }
    if appender.head().size != found.hashes.len() as u64 {
        return Err("the appender's head is not the log's".to_owned());
    }
    Ok(told)
}

fn opening(life: u8) -> RunInfo {
    let boot = BuildInfo { version: String::new(), config_digest: [0; 32], installation: None };
    RunInfo { boot, kernel_boot: String::new(), epoch: [life; 16] }
}

fn live(world: &World, random: &mut Random, told: &mut Told, life: u8) -> Result<(), String> {
    let mut appender = match Appender::open(world.clone(), Path::new("disk"), LAYOUT, &opening(life)) {
        Ok((appender, _)) => appender,
        // It could not start: the disk failed or died. Damage is never the disk's doing.
        Err(OpenError::Io { .. }) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    told.heads.push(appender.head());
    for _ in 0..random.below(25) {
        let open = appender.open.clone();
        let batch: Vec<QueuedRecord> = (0..=random.below(5)).map(|_| entry(random, &open)).collect();
        match appender.append(&batch) {
            Ok(receipts) => {
                told.records.extend(receipts.iter().map(|receipt| (receipt.seq, receipt.record_hash)));
                told.heads.push(appender.head());
            }
            Err(_) if world.is_dead() => return Ok(()),
            Err(_) => {
                let resumed = (0..3).any(|_| appender.resume("simulated").is_ok());
                if !resumed {
                    return Ok(());
                }
                told.heads.push(appender.head());
            }
        }
    }
    Ok(())
}

fn run(count: u64, lying: bool) -> (u64, u64, Option<(u64, String)>) {
    let (mut crashes, mut records) = (0, 0);
    for seed in 0..count {
        match schedule(seed, lying) {
            Ok(told) => {
                crashes += told.crashes;
                records += told.records.len() as u64;
            }
            Err(violation) => return (crashes, records, Some((seed, violation))),
        }
    }
    (crashes, records, None)
}

#[test]
fn no_acknowledged_record_is_lost_whatever_the_disk_does_with_unsynced_sectors() {
    let count = if std::env::var_os("AVS_KMS_LONG").is_some() { 100_000 } else { 1_500 };
    let (crashes, records, violation) = run(count, false);
    assert_eq!(violation, None);
    assert!(
        crashes >= 2 * count && records > count,
        "{crashes} crashes, {records} records: they must get somewhere"
    );
}

#[test]
fn the_same_schedules_find_a_log_that_acknowledges_before_it_syncs() {
    let (_, _, violation) = run(200, true);
    violation.expect("the planted bug was not found");
}
