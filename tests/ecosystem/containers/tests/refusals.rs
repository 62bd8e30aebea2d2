//! Mistakes of operators: each ends with one message and an exit status, and works once it is corrected.

use avs_kms_client::{Client, ClientError, KeyRef};
use avs_kms_containers::load::{digest, unrecorded, verified_log};
use avs_kms_containers::{EOA, Service, Volume, base, once, ours, ours_with};
use testcontainers::ImageExt as _;
use testcontainers::core::AccessMode;
use testcontainers::runners::AsyncRunner as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_tried_once_and_the_right_one_works_afterwards() {
    let volume = Volume::initialised("pin").await;
    volume.shell("cp -p /data/pin /data/kept && printf 000000000000 >/data/pin").await.must();
    let ended = once(ours(Some(volume.mount())), &["serve"]).await;
    ended.refused(4, "the token refused the PIN (tried once, not tried again)");
    let ended = once(ours(Some(volume.mount())), &["serve"]).await;
    ended.refused(4, "the token has refused this PIN before, so it was not tried again");
    volume.shell("mv /data/kept /data/pin").await.must();
    let (ended, _) = Service::over(&volume).await.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_missing_or_empty_is_no_data_directory() {
    // Without -v the engine makes an empty one.
    once(ours(None), &["serve"])
        .await
        .refused(1, "is not a data directory; create it with `avs-kms --data /data init`");
    let empty = Volume::new("empty");
    once(ours(Some(empty.mount())), &["serve"])
        .await
        .refused(1, "is not a data directory; create it with `avs-kms --data /data init`");
    // What was refused left nothing that would hinder init.
    once(ours(Some(empty.mount())), &["init"]).await.must();
    once(ours(Some(empty.mount())), &["init"]).await.refused(1, "is a data directory already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_another_user_is_refused() {
    let foreign = Volume::new("foreign");
    let root = base().await.with_mount(foreign.mount());
    once(root, &["sh", "-euc", "touch /data/x && chown root:root /data && chmod 0755 /data"]).await.must();
    for command in ["init", "serve"] {
        let ended = once(ours(Some(foreign.mount())), &[command]).await;
        ended.refused(1, if command == "init" { "is not empty" } else { "is not a data directory" });
    }
    let root = base().await.with_mount(foreign.mount());
    once(root, &["mv", "/data/x", "/data/lost+found"]).await.must();
    once(ours(Some(foreign.mount())), &["init"]).await.refused(1, "Permission denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_volume_is_refused() {
    let volume = Volume::initialised("ro").await;
    let mount = volume.mount().with_access_mode(AccessMode::ReadOnly);
    once(ours(Some(mount)), &["serve"]).await.refused(1, "Read-only file system");
    let (ended, _) = Service::over(&volume).await.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_locked_memory_is_refused_with_what_is_missing() {
    let volume = Volume::initialised("memlock").await;
    let ended = once(ours_with(Some(volume.mount()), 4096), &["serve"]).await;
    ended.refused(1, "RLIMIT_MEMLOCK is 4096 bytes, too few to lock");
    let (ended, _) = Service::over(&volume).await.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_container_on_the_same_volume_is_refused_and_the_first_keeps_running() {
    let volume = Volume::initialised("two").await;
    let service = Service::over(&volume).await;
    let client = service.client().await;
    client.create_key(&KeyRef::new(EOA)).await.unwrap();
    for command in ["serve", "doctor"] {
        let ended = once(ours(Some(volume.mount())), &[command]).await;
        ended.refused(1, "another process is using the data directory /data");
    }
    client.sign_digest(&KeyRef::new(EOA), digest(0, 0, 0)).await.unwrap();
    let (ended, _) = service.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    verified_log(&volume).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_of_a_configuration_is_printed_with_status_2() {
    let wrong = ours(None)
        .with_env_var("AVS_KMS__ENCLAVE__QUEUE_SIZE", "many")
        .with_env_var("AVS_KMS__LOG__LEVEL", "loudest=x=y");
    let ended = once(wrong, &["serve"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("the configuration has 2 error(s)"), "{ended:?}");
    assert!(ended.stderr.contains("enclave.queue_size") && ended.stderr.contains("log.level"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_stops_signing_alone_until_space_is_freed() {
    let volume = Volume::small("full", 12);
    // Holds the volume, and fills and empties it.
    let holder =
        base().await.with_user("10001:10001").with_mount(volume.mount()).with_cmd(["sleep", "infinity"]);
    let holder = holder.start().await.unwrap();
    once(ours(Some(volume.mount())), &["init"]).await.must();
    let service = Service::over(&volume).await;
    let client = service.client().await;
    let key = KeyRef::new(EOA);
    client.create_key(&key).await.unwrap();
    let mut signed = vec![client.sign_digest(&key, digest(0, 0, 0)).await.unwrap()];

    volume.shell("dd if=/dev/zero of=/data/fill bs=4096 2>/dev/null || true").await.must();
    let refused = until(&client, &mut signed, |outcome| outcome.is_err()).await.unwrap_err();
    assert_eq!(
        refused.api_error().map(|refusal| (refusal.status, refusal.code.as_str())),
        Some((503, "audit_unavailable"))
    );
    assert!(client.ready().await.is_err(), "ready with a full disk");
    client.keys(EOA).await.unwrap();
    client.get::<serde_json::Value>("/healthz").await.unwrap();

    volume.shell("rm /data/fill").await.must();
    until(&client, &mut signed, Result::is_ok).await.unwrap();
    client.ready().await.unwrap();
    service.kill().await;
    assert_eq!(unrecorded(&verified_log(&volume).await, &signed), Vec::<&_>::new());

    // A start on a full volume has the space that is kept for disable, revoke and freeze.
    volume.shell("dd if=/dev/zero of=/data/fill bs=4096 2>/dev/null || true").await.must();
    let (ended, _) = Service::over(&volume).await.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    volume.shell("rm /data/fill").await.must();
    let (ended, _) = Service::over(&volume).await.stop().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(unrecorded(&verified_log(&volume).await, &signed), Vec::<&_>::new());
    holder.rm().await.unwrap();
}

type Outcome = Result<(), ClientError>;

/// Signs until something has happened, at most for half a minute.
async fn until(
    client: &Client,
    signed: &mut Vec<avs_kms_client::SignResult>,
    happened: impl Fn(&Outcome) -> bool,
) -> Outcome {
    for turn in 0..3_000 {
        let outcome = client.sign_digest(&KeyRef::new(EOA), digest(1, signed.len() as u64, turn)).await;
        let outcome = outcome.map(|answer| signed.push(answer));
        if happened(&outcome) {
            return outcome;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it has not happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_file_that_is_not_mounted_is_named() {
    let volume = Volume::initialised("nopin").await;
    let request = ours(Some(volume.mount())).with_env_var("AVS_KMS__PKCS11__PIN_FILE", "/run/pin");
    once(request, &["serve"]).await.refused(1, "/run/pin");
}
