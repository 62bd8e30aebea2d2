//! Work on a store as the service does it, in a child that opens the token: nothing else writes rows that are accepted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use avs_kms::auth::{
    AccessToken, AccessTokenId, AccessTokenRecord, Audience, Challenge, InstallationId, Networks, Subject,
};
use avs_kms::store::{Backend, KeyChange, SqliteBackend, SqliteFile, Store, VersionUpdate};
use jiff::Timestamp;
use serde_json::json;

use super::enclave_settings::softhsm;
use super::{EOA, OTHER_EOA, process, text};

const DATA: &str = "AVS_KMS_TEST_STORE";
const WORK: &str = "AVS_KMS_TEST_STORE_WORK";
const SAID: &str = "said: ";

/// Does the work over a store that no service uses, and returns what it said.
pub(crate) fn with_store(data: &Path, work: &str, argument: &str) -> String {
    let output = process::child(module_path!(), "child")
        .env(DATA, data)
        .env(WORK, format!("{work}:{argument}"))
        .env("SOFTHSM2_CONF", data.join("token/softhsm2.conf"))
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{work}: {said}\n{}", text(&output.stderr));
    said.lines().find_map(|line| line.split(SAID).nth(1)).unwrap().to_owned()
}

#[test]
#[ignore = "a child of other tests"]
#[allow(clippy::print_stdout, reason = "it answers its parent")]
fn child() {
    let data = std::env::var_os(DATA).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let said = runtime.block_on(work(Path::new(&data)));
    // Past the harness, whose own lines may stand before it on the same line.
    println!("\n{SAID}{said}");
}

async fn work(data: &Path) -> String {
    let path = data.join("store.sqlite");
    let records = SqliteFile::open(&path).await.unwrap().records();
    let enclave = hsm::Enclave::open(hsm::Settings { records: Some(Arc::new(records)), ..softhsm(data) });
    let key = enclave.unwrap().store_key();
    let backend = || async { SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), Arc::clone(&key)) };
    let asked = std::env::var(WORK).unwrap();
    match asked.split_once(':').unwrap() {
        ("expired challenge", url) => {
            let store = Store::open(&path, Arc::clone(&key)).await.unwrap();
            let audience = Audience::new(url, 1, InstallationId::new(key.installation())).unwrap();
            let then = avs_kms::clock::Clock::system().now() - Duration::from_secs(301);
            let scopes = "keys:read".parse().unwrap();
            let challenge = Challenge::random(EOA.parse().unwrap(), scopes, 60, then).unwrap();
            let id = store.challenge_key().seal(&challenge, &audience);
            json!({"challenge_id": id, "message": challenge.message(&audience)}).to_string()
        }
        // How many, and how many seconds ago they expired.
        ("login tokens", argument) => {
            let (count, ago) = argument.split_once(' ').unwrap();
            let expired =
                avs_kms::clock::Clock::system().now() - jiff::SignedDuration::from_secs(ago.parse().unwrap());
            let backend = backend().await;
            backend.load().await.unwrap();
            let issued = (0..count.parse().unwrap()).map(|_: u32| {
                let record = AccessTokenRecord {
                    id: AccessTokenId::random().unwrap(),
                    subject: Subject::Eoa(OTHER_EOA.parse().unwrap()),
                    scopes: "keys:read".parse().unwrap(),
                    created_at: expired - Duration::from_secs(900),
                    expires_at: expired,
                    revoked_at: None,
                    login: true,
                    networks: Networks::default(),
                    keys: Vec::new(),
                    last_used_at: None,
                    client_certificate: None,
                };
                (AccessToken::random().unwrap().hash(), record)
            });
            backend.insert_access_tokens(issued.collect()).await.unwrap();
            String::new()
        }
        // By what the row says that it was asked for.
        ("destruction is due", by) => {
            let backend = backend().await;
            let versions = backend.load().await.unwrap().versions;
            let scheduled = versions.into_iter().filter(|version| version.times.destroy.is_some());
            let updates = scheduled.map(|mut version| {
                version.times.destroy = Some(Timestamp::from_second(1).unwrap());
                match by {
                    "by another record" => version.destroy_intent.iter_mut().for_each(|it| it.record -= 2),
                    "by a later record" => {
                        version.destroy_intent.iter_mut().for_each(|it| it.record += 9_999)
                    }
                    "by no record" => version.destroy_intent = None,
                    _ => {}
                }
                VersionUpdate { from: version.status, version: Arc::new(version) }
            });
            let (updates, events) = (updates.collect(), Vec::new());
            backend
                .change(KeyChange { updates, events, mark: None, at: avs_kms::clock::Clock::system().now() })
                .await
                .unwrap();
            String::new()
        }
        (other, _) => panic!("{other}"),
    }
}
