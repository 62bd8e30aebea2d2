#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use hsm::KeyId;
use jiff::Timestamp;

use super::*;
use crate::key::{Eoa, KeyName, KeyVersionNumber, Reservation};
use crate::store::SqliteBackend;
use crate::store::backend_tests::public_key;

#[test]
fn the_signature_is_hmac_sha256_over_time_and_body() {
    let secret = Secret::new(vec![b'k'; 32]).unwrap();
    // printf '1700000000.{"seq":1}' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
    let expected = "t=1700000000,v1=5e71a8c43c4d0dc5ff6919a6f20eb24a1ad4dc3775c8aa78fd66acc38c476a5f";
    assert_eq!(secret.signature(1_700_000_000, br#"{"seq":1}"#), expected);
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    assert!(Secret::new(vec![b'k'; 31]).is_err());
}

/// A receiver that acknowledges every request; how many it got.
fn acknowledging() -> (WebhookTarget, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = WebhookTarget::new(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).unwrap();
                if count == 0 {
                    break;
                }
                request.extend_from_slice(&bytes[..count]);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    (target, received)
}

async fn store_with_an_event(directory: &std::path::Path, targets: &[&WebhookTarget]) -> Store {
    let path = directory.join("store.sqlite");
    let key = Arc::new(hsm::StoreKey::of_tests([1; 16]).unwrap());
    SqliteBackend::create(&path, Arc::clone(&key), &[]).unwrap();
    let store = Store::open(&path, key).await.unwrap();
    store.set_webhooks(targets.iter().map(|target| target.id.clone()).collect()).await.unwrap();
    let reservation = Reservation {
        id: KeyId::from_bytes([1; 16]),
        eoa: Eoa::new([1; 20]),
        name: KeyName::default(),
        version: KeyVersionNumber::FIRST,
        binding: None,
    };
    store.reserve(reservation.clone(), Timestamp::UNIX_EPOCH).await.unwrap();
    store.complete(reservation, public_key(), Timestamp::UNIX_EPOCH).await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers_delays_no_other_one_and_no_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    // Connections are accepted by the kernel and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_target = WebhookTarget::new(&format!("http://{}/", silent.local_addr().unwrap())).unwrap();
    let (target, received) = acknowledging();
    let store = store_with_an_event(directory.path(), &[&silent_target, &target]).await;
    let outbound = Outbound::new(Duration::from_secs(60)).unwrap();
    let parts = (store.clone(), Clock::fixed(Timestamp::UNIX_EPOCH));
    let secret = Secret::new(vec![b'k'; 32]).unwrap();
    let webhooks = Webhooks::new(parts, vec![silent_target, target], secret, outbound).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(webhooks.run(stopped));

    let begun = Instant::now();
    let both = tokio::task::spawn_blocking(move || {
        let wait = || received.recv_timeout(Duration::from_secs(20));
        (wait(), wait())
    });
    let (first, second) = both.await.unwrap();
    assert!(first.is_ok() && second.is_ok(), "the version was created and activated: two events");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    // The receiver acknowledges before the sender writes it down.
    let written = async {
        while store.pending_deliveries().await.unwrap().pending != 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.unwrap();
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
    let pending = store.pending_deliveries().await.unwrap();
    assert_eq!(pending.pending, 2, "what the silent receiver did not acknowledge stays");
}

#[tokio::test]
async fn a_failed_delivery_waits_from_the_end_of_its_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let target = WebhookTarget::new("http://127.0.0.1:1/").unwrap();
    let store = store_with_an_event(directory.path(), &[&target]).await;
    let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
    let delivery = store.due_deliveries(&target.id, clock.now()).await.unwrap().remove(0);
    clock.advance(Duration::from_secs(30));
    store.not_delivered(delivery, clock.now()).await.unwrap();
    assert!(store.due_deliveries(&target.id, clock.now()).await.unwrap().is_empty());
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.due_deliveries(&target.id, clock.now()).await.unwrap().len(), 1);
}
