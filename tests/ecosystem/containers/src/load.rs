//! Clients that sign as fast as the service answers, and the answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use avs_kms_client::{Client, ClientError, KeyRecord, KeyRef, SignResult};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::{EOA, Volume, once, ours};

/// How many clients.
pub const CLIENTS: usize = 16;

/// What clients hold in their hands.
#[derive(Default)]
pub struct Answered {
    pub signatures: Vec<SignResult>,
    pub keys: Vec<KeyRecord>,
    /// Calls that the service refused in words.
    pub refusals: u64,
    /// Calls without an answer.
    pub unanswered: u64,
}

/// A load that runs.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Answered>>,
}

impl Load {
    /// `round` keeps the digests and the names of keys of one load from those of another.
    pub fn on(client: &Client, round: u64) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..CLIENTS)
            .map(|n| {
                let (client, stop, done) = (client.clone(), Arc::clone(&stop), Arc::clone(&done));
                // One of them makes keys.
                tokio::spawn(async move {
                    let mut answered = Answered::default();
                    let mut turn = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        turn += 1;
                        let outcome = if n == 0 && turn.is_multiple_of(8) {
                            let key = KeyRef::new(EOA).named(format!("r{round}-{turn}"));
                            client.create_key(&key).await.map(|made| answered.keys.push(made.record))
                        } else {
                            let digest = digest(round, n as u64, turn);
                            let signed = client.sign_digest(&KeyRef::new(EOA), digest).await;
                            signed.map(|signed| answered.signatures.push(signed))
                        };
                        match outcome {
                            Ok(()) => _ = done.fetch_add(1, Ordering::Relaxed),
                            Err(ClientError::Api(_)) => answered.refusals += 1,
                            Err(ClientError::Unreachable(_)) => {
                                answered.unanswered += 1;
                                tokio::time::sleep(Duration::from_millis(5)).await;
                            }
                            Err(other) => panic!("an answer of no kind: {other:?}"),
                        }
                    }
                    answered
                })
            })
            .collect();
        Self { stop, done, tasks }
    }

    /// Waits until this many calls were answered: then the service is busy.
    pub async fn underway(&self, calls: u64) {
        let begun = Instant::now();
        while self.done.load(Ordering::Relaxed) < calls {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is answered");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Lets every client finish its call.
    pub async fn end(self) -> Answered {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Answered::default();
        for task in self.tasks {
            let one = task.await.expect("a client");
            all.signatures.extend(one.signatures);
            all.keys.extend(one.keys);
            all.refusals += one.refusals;
            all.unanswered += one.unanswered;
        }
        all
    }
}

/// A digest that nothing else signs.
pub fn digest(round: u64, client: u64, turn: u64) -> [u8; 32] {
    let text = format!("{round} {client} {turn}");
    Sha256::digest(text).into()
}

/// Signatures per second over some time.
pub async fn throughput(client: &Client, round: u64, time: Duration) -> f64 {
    let load = Load::on(client, round);
    load.underway(50).await;
    let (begun, before) = (Instant::now(), load.done.load(Ordering::Relaxed));
    tokio::time::sleep(time).await;
    let rate = (load.done.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    let answered = load.end().await;
    assert_eq!((answered.refusals, answered.unanswered), (0, 0));
    rate
}

/// The log in a volume, checked by `avs-kms audit verify` in a container of its own: number and leaf hash (RFC 6962) of every
/// record.
pub async fn verified_log(volume: &Volume) -> HashMap<u64, [u8; 32]> {
    once(ours(Some(volume.mount())), &["audit", "verify"]).await.must();
    let lines = once(ours(Some(volume.mount())), &["audit", "tail", "-n", "10000000"]).await.must();
    let leaf = |line: &str| Sha256::new().chain_update([0]).chain_update(line).finalize().into();
    let number = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).expect("a record");
        record["seq"].as_u64().expect("a number")
    };
    lines.lines().map(|line| (number(line), leaf(line))).collect()
}

/// Of the signatures that clients hold, those whose record the log does not have, byte for byte.
pub fn unrecorded<'a>(log: &HashMap<u64, [u8; 32]>, signatures: &'a [SignResult]) -> Vec<&'a SignResult> {
    signatures
        .iter()
        .filter(|signed| log.get(&signed.audit.seq) != Some(&signed.audit.record_hash.0))
        .collect()
}
