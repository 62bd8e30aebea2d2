//! Credentials under clocks that are wrong: what has expired or was used stays so.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit_log::{AuditLog, BuildInfo, Settings};
use jiff::Timestamp;
use k256::ecdsa::SigningKey;

use crate::auth::{
    Audience, Caller, Credentials, EoaSignature, InstallationId, RequestToSign, Scope, Subject,
    Unauthenticated, body_hash,
};
use crate::clock::{Clock, SETTLING};
use crate::key::Eoa;
use crate::request_id::RequestId;
use crate::service::{
    AllowedOperators, Context, Custody, ErrorCode, IssueAccessToken, LocalProcess, LoginResponse, LoginRules,
    Maintenance, NoteMaintenance, Peer, Quotas, RequestChallenge, ServiceError, ServiceParts, Services,
};
use crate::store::{SqliteBackend, Store};

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Ethereum's well-known first test account.
const WALLET: [u8; 32] = [
    0xac, 0x09, 0x74, 0xbe, 0xc3, 0x9a, 0x17, 0xe3, 0x6b, 0xa4, 0xa6, 0xb4, 0xd2, 0x38, 0xff, 0x94, 0x4b,
    0xac, 0xb4, 0x78, 0xcb, 0xed, 0x5e, 0xfc, 0xae, 0x78, 0x4d, 0x7b, 0xf4, 0xf2, 0xff, 0x80,
];

fn eoa() -> Eoa {
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap()
}

fn sign(digest: &[u8; 32]) -> [u8; 65] {
    let key = SigningKey::from_slice(&WALLET).unwrap();
    let (signature, recovery) = key.sign_prehash_recoverable(digest).unwrap();
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes[64] = 27 + recovery.to_byte();
    bytes
}

fn audience() -> Audience {
    Audience::new("https://kms.example", 1, InstallationId::new([1; 16])).unwrap()
}

/// The service as a start makes it, without a token.
async fn start(directory: &Path, clock: &Clock) -> Services {
    let path = directory.join("store.sqlite");
    let log = Settings { segment_bytes: 65_536, ..Settings::new(directory.join("audit")) };
    let key = Arc::new(hsm::StoreKey::of_tests([1; 16]).unwrap());
    if !path.exists() {
        SqliteBackend::create(&path, Arc::clone(&key), &[]).unwrap();
        AuditLog::create(&log).unwrap();
    }
    let boot = BuildInfo { version: "test".to_owned(), config_digest: [0; 32], installation: None };
    let login = LoginRules {
        audience: audience(),
        usual_life: Duration::from_secs(900),
        longest_life: DAY,
        operators: AllowedOperators::Listed(vec![eoa()]),
        chain: None,
        contract_wallets: Vec::new(),
    };
    Services::new(ServiceParts {
        store: Store::open(&path, key).await.unwrap(),
        log: AuditLog::open(log, boot).unwrap().0,
        custody: Custody::absent(),
        clock: clock.clone(),
        request_deadline: Duration::from_secs(30),
        node: None,
        login: Some(login),
        quotas: Quotas::NONE,
    })
}

fn context(peer: Peer) -> Context {
    Context::anonymous(RequestId::random().unwrap(), peer)
}

fn client() -> Context {
    context(Peer::Tcp((Ipv4Addr::LOCALHOST, 1).into()))
}

/// A request that the EOA signs at this time.
fn signed(at: Timestamp, nonce: u8) -> Credentials {
    let issued = u64::try_from(at.as_second()).unwrap();
    let (expires, nonce) = (issued + 300, [nonce; 32]);
    let audience = audience();
    let body_hash = body_hash(b"");
    let request = RequestToSign {
        audience: &audience,
        method: "GET",
        path: "/v1/keys",
        body_hash,
        issued,
        expires,
        nonce,
    };
    let signature_bytes = sign(&request.digest());
    let signature = EoaSignature::from_bytes(&signature_bytes).unwrap();
    Credentials { operator: eoa(), issued, expires, nonce, signature, signature_bytes }
}

async fn present(services: &Services, credentials: &Credentials) -> Result<Caller, ServiceError> {
    services.signed_requests.authenticate(&client(), credentials, "GET", "/v1/keys", b"").await
}

fn refused(result: Result<Caller, ServiceError>, why: Unauthenticated) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthenticated);
    assert!(error.to_string().starts_with(&why.to_string()), "{error}");
}

fn back(from: Timestamp, time: Duration) -> Timestamp {
    from.saturating_sub(time).unwrap()
}

fn ahead(from: Timestamp, time: Duration) -> Timestamp {
    from.saturating_add(time).unwrap()
}

#[tokio::test]
async fn an_access_token_ends_by_the_injected_clock_and_no_clock_brings_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let services = start(directory.path(), &clock).await;
    let request = IssueAccessToken {
        subject: Subject::Eoa(eoa()),
        scopes: [Scope::KeysRead].into_iter().collect(),
        life: 2 * SETTLING,
        networks: None,
        keys: Vec::new(),
        client_certificate: None,
    };
    let local = context(Peer::Local(LocalProcess::this())).recognised(Caller::local());
    let issued = services.access_tokens.issue(local, request).await.unwrap();
    let header = format!("Bearer {}", issued.token.expose());
    let authenticate = || {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        services.access_tokens.authenticate(Some(&header), from, None).map_err(|rejected| rejected.error)
    };
    assert!(authenticate().is_ok());
    clock.advance(2 * SETTLING - Duration::from_secs(1));
    assert!(authenticate().is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(authenticate().unwrap_err(), Unauthenticated::Expired);
    clock.set_wall(back(clock.now(), DAY));
    assert_eq!(authenticate().unwrap_err(), Unauthenticated::Expired, "the clock was set back");
}

#[tokio::test]
async fn a_challenge_lives_by_the_injected_clock_and_is_used_once_whatever_the_clock_does() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let services = start(directory.path(), &clock).await;
    clock.advance(SETTLING);
    let challenge = || {
        let request = RequestChallenge { eoa: eoa(), scopes: None, life: None };
        let issued = services.logins.challenge(&client(), request).unwrap();
        let signature = sign(&issued.challenge.digests(&audience())[0].1).to_vec();
        (issued.challenge.expires_at(), issued.id, signature)
    };
    let log_in = async |id: &str, signature: &[u8]| {
        let response = LoginResponse { challenge_id: id.to_owned(), signature: signature.to_vec() };
        services.logins.log_in(client(), response).await.map(drop).map_err(|error| error.code())
    };
    let (expires, used, signature) = challenge();
    let life = Duration::try_from(expires.duration_since(clock.now())).unwrap();
    clock.advance(life - Duration::from_secs(1));
    assert_eq!(log_in(&used, &signature).await, Ok(()));
    assert_eq!(log_in(&used, &signature).await, Err(ErrorCode::ChallengeUnknown));
    let (_, late, late_signature) = challenge();
    let at = clock.now();
    clock.advance(life);
    assert_eq!(log_in(&late, &late_signature).await, Err(ErrorCode::ChallengeExpired));
    // Used challenges are forgotten long after their end; the clock is set back to before it.
    clock.advance(30 * DAY);
    let (_, other, other_signature) = challenge();
    assert_eq!(log_in(&other, &other_signature).await, Ok(()));
    clock.set_wall(at);
    assert_eq!(log_in(&late, &late_signature).await, Err(ErrorCode::ChallengeExpired));
    assert_eq!(log_in(&used, &signature).await, Err(ErrorCode::ChallengeExpired));
}

#[tokio::test]
async fn a_signed_request_works_once_whatever_the_clock_does() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let services = start(directory.path(), &clock).await;
    clock.advance(SETTLING);
    let at = clock.now();
    let request = signed(at, 1);
    present(&services, &request).await.unwrap();
    refused(present(&services, &request).await, Unauthenticated::Replayed);
    // A clock that was ahead for ten minutes forgets nothing, and what is signed after it works.
    clock.set_wall(ahead(at, YEAR));
    refused(present(&services, &request).await, Unauthenticated::SignedTimes);
    clock.set_wall(at);
    refused(present(&services, &request).await, Unauthenticated::Replayed);
    present(&services, &signed(at, 2)).await.unwrap();
    // Expired, and then the clock is set back.
    clock.advance(Duration::from_secs(400));
    clock.set_wall(at);
    refused(present(&services, &request).await, Unauthenticated::SignedTimes);
    refused(present(&services, &signed(at, 3)).await, Unauthenticated::SignedTimes);
    present(&services, &signed(ahead(at, Duration::from_secs(400)), 4)).await.unwrap();
}

#[tokio::test]
async fn a_restart_with_a_wrong_clock_replays_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Records have the system's time.
    let now = Clock::system().now();
    let services = start(directory.path(), &Clock::fixed(now)).await;
    let request = signed(now, 1);
    present(&services, &request).await.unwrap();
    services.close().await.unwrap();
    drop(services);
    for wall in [now, back(now, DAY), back(now, YEAR), ahead(now, DAY), ahead(now, YEAR)] {
        let clock = Clock::fixed(wall);
        let services = start(directory.path(), &clock).await;
        services.signed_requests.restore(false).await.unwrap();
        assert!(present(&services, &request).await.is_err(), "replayed at {wall}");
        // Nor once the clock is right again.
        clock.set_wall(now);
        assert!(present(&services, &request).await.is_err(), "replayed after {wall}");
        services.close().await.unwrap();
    }
    // What was signed in the past that the clock was set back to is refused, unless that is accepted by name.
    let past = back(now, DAY);
    let services = start(directory.path(), &Clock::fixed(past)).await;
    services.signed_requests.restore(false).await.unwrap();
    refused(present(&services, &signed(past, 2)).await, Unauthenticated::SignedTimes);
    services.close().await.unwrap();
    drop(services);
    let services = start(directory.path(), &Clock::fixed(past)).await;
    services.signed_requests.restore(true).await.unwrap();
    present(&services, &signed(past, 3)).await.unwrap();
    services.close().await.unwrap();
    let lines = audit_log::lines(&directory.path().join("audit"), 0, None).unwrap();
    let accepted = lines.filter(|line| line.as_ref().unwrap().may_be_of("audit.clock_set_back_accepted"));
    assert_eq!(accepted.count(), 1);
}

#[tokio::test]
async fn a_start_far_ahead_forgets_no_nonce_whose_segment_was_completed_since() {
    let directory = tempfile::tempdir().unwrap();
    let now = Clock::system().now();
    let segments = || {
        let names = std::fs::read_dir(directory.path().join("audit")).unwrap();
        names.filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|it| it == "log")).count()
    };
    let services = start(directory.path(), &Clock::fixed(now)).await;
    let request = signed(now, 1);
    present(&services, &request).await.unwrap();
    // The segments after it are full, too.
    let local = || context(Peer::Local(LocalProcess::this())).recognised(Caller::local());
    let mut records = 0;
    while segments() < 4 {
        services
            .maintenance
            .note(&local(), NoteMaintenance { work: Maintenance::Backup, path: "x".repeat(400), count: 0 })
            .await
            .unwrap();
        records += 1;
        assert!(records < 10_000, "segments do not fill");
    }
    services.close().await.unwrap();
    drop(services);
    for wall in [ahead(now, DAY), ahead(now, YEAR), now] {
        let clock = Clock::fixed(wall);
        let services = start(directory.path(), &clock).await;
        assert_eq!(services.signed_requests.restore(false).await.unwrap(), 1, "at {wall}");
        clock.set_wall(now);
        assert!(present(&services, &request).await.is_err(), "replayed after {wall}");
        services.close().await.unwrap();
    }
    // Accepted by name, the right clock is believed; the nonce is known all the same.
    let services = start(directory.path(), &Clock::fixed(now)).await;
    services.signed_requests.restore(true).await.unwrap();
    refused(present(&services, &request).await, Unauthenticated::Replayed);
    services.close().await.unwrap();
}
