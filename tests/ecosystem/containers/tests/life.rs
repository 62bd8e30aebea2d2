//! SIGKILL under load, many times, and SIGTERM under load: every answer is in the log, and every key is there.

use std::collections::BTreeMap;

use avs_kms_client::{G1Point, KeyRef};
use avs_kms_containers::load::{CLIENTS, Load, digest, unrecorded, verified_log};
use avs_kms_containers::pairing::verifies;
use avs_kms_containers::{EOA, Service, Volume};

/// `AVS_KMS_LONG=1`: many more kills.
fn cycles() -> u64 {
    if std::env::var_os("AVS_KMS_LONG").is_some() { 100 } else { 6 }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_loses_no_key_and_no_record() {
    let volume = Volume::initialised("kill").await;
    let mut keys: BTreeMap<String, G1Point> = BTreeMap::new();
    let (mut signatures, mut unanswered) = (Vec::new(), 0);
    for cycle in 0..cycles() {
        let service = Service::over(&volume).await;
        let client = service.client().await;
        let first = client.create_key(&KeyRef::new(EOA)).await.unwrap();
        assert_eq!(first.created, cycle == 0, "cycle {cycle}");
        keys.insert(first.record.name, first.record.g1);

        // Every key that a client received is there, and the first signs as it did.
        let found: BTreeMap<_, _> =
            client.keys(EOA).await.unwrap().into_iter().map(|key| (key.name, key.g1)).collect();
        for (name, point) in &keys {
            assert_eq!(found.get(name), Some(point), "cycle {cycle}: {name}");
        }
        let probe = client.sign_digest(&KeyRef::new(EOA), digest(0, 0, 0)).await.unwrap();
        assert!(verifies(&digest(0, 0, 0), &probe));
        signatures.push(probe);

        let load = Load::on(&client, cycle + 1);
        // At another moment each time.
        load.underway(40 + cycle * 137 % 400).await;
        service.kill().await;
        let answered = load.end().await;
        assert!(answered.unanswered >= CLIENTS as u64, "cycle {cycle}: it was killed, but not at work");
        unanswered += answered.unanswered;
        keys.extend(answered.keys.into_iter().map(|key| (key.name, key.g1)));
        signatures.extend(answered.signatures);

        let log = verified_log(&volume).await;
        assert_eq!(unrecorded(&log, &signatures), Vec::<&_>::new(), "cycle {cycle}");
    }
    assert!(keys.len() as u64 > cycles() / 2 && signatures.len() as u64 > 30 * cycles());
    // The control: a receipt that was tampered with is found missing.
    let mut forged = signatures[0].clone();
    forged.audit.record_hash.0[0] ^= 1;
    assert_eq!(unrecorded(&verified_log(&volume).await, &[forged]).len(), 1);
    println!(
        "{} kills under load: {} signatures and {} keys that clients hold, 0 lost; {unanswered} calls unanswered",
        cycles(),
        signatures.len(),
        keys.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_under_load_it_answers_what_it_began_and_ends_well() {
    let volume = Volume::initialised("stop").await;
    let service = Service::over(&volume).await;
    let client = service.client().await;
    client.create_key(&KeyRef::new(EOA)).await.unwrap();
    let load = Load::on(&client, 1);
    load.underway(200).await;
    let (ended, time) = service.stop().await;
    let answered = load.end().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("stopped; the audit log is complete"), "{ended:?}");
    assert!(time.as_secs() < 20, "longer than the grace time: {time:?}");
    assert!(answered.unanswered > 0, "the load ended before the service");
    let log = verified_log(&volume).await;
    assert_eq!(unrecorded(&log, &answered.signatures), Vec::<&_>::new());

    // Everything is whole: the next one has nothing to settle.
    let service = Service::over(&volume).await;
    let found: BTreeMap<_, _> = {
        let client = service.client().await;
        client.keys(EOA).await.unwrap().into_iter().map(|key| (key.name, key.g1)).collect()
    };
    for key in &answered.keys {
        assert_eq!(found.get(&key.name), Some(&key.g1), "{}", key.name);
    }
    assert!(!service.log().await.contains("were settled"), "{}", service.log().await);
    println!(
        "SIGTERM under the load of {CLIENTS} clients: exit 0 after {} ms; {} signatures that clients hold, 0 lost",
        time.as_millis(),
        answered.signatures.len()
    );
}
