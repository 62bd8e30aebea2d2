//! The image does the service's main job, and holds nothing else.

use std::time::Duration;

use avs_kms_client::KeyRef;
use avs_kms_containers::load::{digest, unrecorded, verified_log};
use avs_kms_containers::pairing::verifies;
use avs_kms_containers::{EOA, PROGRAM, Service, Volume, docker};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_and_signs_and_the_signature_is_good() {
    let volume = Volume::initialised("main").await;
    let service = Service::over(&volume).await;
    let client = service.client().await;
    let key = KeyRef::new(EOA);
    let made = client.create_key(&key).await.unwrap();
    assert!(made.created);

    let digest = digest(0, 0, 0);
    let signed = client.sign_digest(&key, digest).await.unwrap();
    assert_eq!((signed.g1, signed.g2), (made.record.g1, made.record.g2));
    assert!(verifies(&digest, &signed));
    assert!(!verifies(&[1; 32], &signed), "the check accepts everything");

    // The engine's own check of health, as the image asks for it.
    let mut last = None;
    for _ in 0..300 {
        let state = docker().await.inspect_container(service.id(), None).await.unwrap().state.unwrap();
        last = state.health.and_then(|health| health.status).map(|status| status.to_string());
        if last.as_deref() != Some("starting") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(last.as_deref(), Some("healthy"));

    let log = service.log().await;
    println!("the service in its container says:\n{log}");
    let (ended, _) = service.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let records = verified_log(&volume).await;
    assert!(unrecorded(&records, &[signed]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_holds_the_service_and_nothing_to_work_with() {
    let image = docker().await.inspect_image("avs-kms:latest").await.unwrap();
    let config = image.config.unwrap();
    assert_eq!(config.user.as_deref(), Some("10001:10001"));
    assert_eq!(config.stop_signal.as_deref(), Some("SIGTERM"));
    assert_eq!(config.volumes.unwrap(), ["/data"]);
    assert!(config.healthcheck.unwrap().test.unwrap().contains(&"health".to_owned()));
    let labels = config.labels.unwrap();
    for label in ["title", "version", "licenses", "base.name"] {
        let value = &labels[&format!("org.opencontainers.image.{label}")];
        assert!(!value.is_empty(), "{label}");
    }

    let volume = Volume::initialised("bare").await;
    let service = Service::over(&volume).await;
    for program in
        ["/bin/sh", "/bin/bash", "/usr/bin/env", "/bin/cat", "/usr/bin/dpkg", "/usr/bin/softhsm2-util"]
    {
        let ran = service.exec(vec![program, "-c", "true"]).await;
        assert!(ran.is_err() || ran.is_ok_and(|ended| matches!(ended.code, 126 | 127)), "{program} runs");
    }
    // The control: what is there does run.
    let version = service.exec(vec![PROGRAM, "version"]).await.unwrap();
    assert!(version.must().starts_with("avs-kms "));
}
