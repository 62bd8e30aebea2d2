//! Years of schedules in seconds: the real service over a real token, with a clock that the test sets.
//!
//! The service runs in a process of this test binary, started with `SOFTHSM2_CONF` as SoftHSM wants it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test should panic; the child tells its figures by printing"
)]

#[path = "service/support/enclave_settings.rs"]
mod enclave_settings;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_log::{AuditLog, BuildInfo, Settings, verify};
use avs_kms::auth::Caller;
use avs_kms::clock::{Clock, SETTLING};
use avs_kms::key::ScheduleScope;
use avs_kms::key::{
    Eoa, KeyName, KeyVersionNumber, LifecycleAction, LifecycleState, RetireOn, Schedule, VersionSelector,
};
use avs_kms::request_id::RequestId;
use avs_kms::rotation::{SHUTDOWN_TIMEOUT, Scheduler, stats};
use avs_kms::service::{
    ChangeKey, Context, CreateKey, Custody, LocalProcess, Message, Peer, Quotas, ServiceParts, Services,
    SetSchedule, Sign,
};
use avs_kms::store::Store;
use enclave_settings::softhsm;
use hsm::Enclave;
use jiff::Timestamp;
use tokio::sync::watch;

const CHILD: &str = "AVS_KMS_ROTATION_CHILD";
const OWNER: Eoa = Eoa::new([0x17; 20]);
const DAY: Duration = Duration::from_secs(86_400);
const DIGEST_OF_NOTHING: [u8; 32] = [0; 32];

/// Runs one of the tests below in a process over an installation of its own; gives what it printed.
fn in_child(test: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("var");
    let init = Command::new(env!("CARGO_BIN_EXE_avs-kms"))
        .args(["--data", data.to_str().unwrap(), "init"])
        .current_dir(directory.path())
        .env("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576")
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, &data)
        .env("SOFTHSM2_CONF", data.join("token/softhsm2.conf"))
        .env("HSM_FAULTS_RULES", data.join("rules"))
        .env("HSM_FAULTS_LOG", data.join("faults"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let report = verify(&data.join("audit")).unwrap();
    assert!(report.is_sound() && report.open_intents == 0, "{report:?}");
    said
}

/// Runs the body of a test in a process of its own over a fresh installation, and shows what it printed.
fn isolated(test: &str, body: impl AsyncFnOnce(&Path)) {
    let _limit = test_report::TimeLimit::of_this_test();
    let Some(data) = std::env::var_os(CHILD) else {
        println!("{}", in_child(test));
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(body(Path::new(&data)));
}

/// Everything that a restart leaves as it is.
struct World {
    data: PathBuf,
    enclave: Enclave,
    clock: Clock,
}

impl World {
    fn open(data: &Path) -> Self {
        Self::over(data, softhsm(data).module)
    }

    /// Over another module in front of SoftHSM.
    fn over(data: &Path, module: PathBuf) -> Self {
        let enclave = Enclave::open(hsm::Settings { module, ..softhsm(data) });
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        Self { data: data.to_owned(), enclave: enclave.unwrap(), clock: Clock::fixed(start) }
    }

    /// The service as a start makes it.
    async fn start(&self) -> (Arc<Services>, Scheduler) {
        let store = Store::open(&self.data.join("store.sqlite"), self.enclave.store_key()).await.unwrap();
        let settings = Settings { segment_bytes: 1 << 20, ..Settings::new(self.data.join("audit")) };
        let boot = BuildInfo { version: "test".into(), config_digest: DIGEST_OF_NOTHING, installation: None };
        let (audit, open_intents) = AuditLog::open(settings, boot).unwrap();
        let custody = Custody::new(self.enclave.clone(), Duration::from_secs(600));
        let services = Services::new(ServiceParts {
            store,
            log: audit,
            custody,
            clock: self.clock.clone(),
            request_deadline: Duration::from_secs(30),
            node: None,
            login: None,
            quotas: Quotas::NONE,
        });
        services.recover(open_intents).await.unwrap();
        let services = Arc::new(services);
        (Arc::clone(&services), Scheduler::new(services, None))
    }

    fn day(&self) -> i64 {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        (self.clock.moment().wall.as_second() - start.as_second()) / 86_400
    }
}

fn operator() -> Context {
    Context::anonymous(RequestId::random().unwrap(), Peer::Local(LocalProcess::this()))
        .recognised(Caller::local())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn key(service: &Services, schedule: Schedule) {
    keys(service, schedule, &[KeyName::default()]).await;
}

async fn keys(service: &Services, schedule: Schedule, names: &[KeyName]) {
    for name in names {
        let request = CreateKey { eoa: OWNER, name: name.clone(), binding: None, policy: None };
        service.keys.create(operator(), request, soon()).await.unwrap();
    }
    set_schedule(service, Some(schedule)).await;
}

async fn set_schedule(service: &Services, schedule: Option<Schedule>) {
    let request = SetSchedule { eoa: OWNER, scope: ScheduleScope::All, schedule, reason: None };
    service.schedules.set(operator(), request, soon()).await.unwrap();
}

/// Lets days pass until the schedule has retired the first version.
async fn until_the_first_retires(world: &World, service: &Services, scheduler: &Scheduler) {
    while stages(service).first() != Some(&(1, LifecycleState::Retired)) {
        world.clock.advance(DAY);
        scheduler.tick().await;
    }
}

const FIRST: VersionSelector = VersionSelector::Number(KeyVersionNumber::FIRST);

async fn change(service: &Services, version: VersionSelector, change: LifecycleAction) {
    let (name, version) = (KeyName::default(), Some(version));
    let request = ChangeKey { eoa: OWNER, name, version, change, after_days: 30, reason: None };
    service.keys.change(operator(), request, soon()).await.unwrap();
}

fn stages(service: &Services) -> Vec<(u32, LifecycleState)> {
    let mut life = service.store().lifecycle(&OWNER, &KeyName::default()).versions;
    life.sort_by_key(|(version, _)| *version);
    life.iter().map(|(version, status)| (version.number(), status.lifecycle)).collect()
}

async fn kinds(service: &Services) -> Vec<String> {
    service.store().events(None, 0, 10_000).await.unwrap().into_iter().map(|event| event.kind).collect()
}

const MONTHLY: Schedule = Schedule {
    every_days: 30,
    announce_days: 7,
    overlap_days: 21,
    activate: true,
    retire_on: RetireOn::Overlap,
    jitter_hours: 0,
};

#[test]
fn two_years_of_monthly_rotations_with_restarts_and_a_long_absence() {
    isolated("two_years_of_monthly_rotations_with_restarts_and_a_long_absence", async |data| {
        let world = World::open(data);
        let (mut service, mut scheduler) = world.start().await;
        key(&service, MONTHLY).await;
        let (mut looks, mut restarts, begun) = (0, 0, Instant::now());
        let mut absent = false;
        while world.day() < 730 {
            // From day 400 the scheduler does not run for more than three periods.
            let step = if world.day() == 400 && !absent { 100 * DAY } else { DAY / 4 };
            absent |= step > DAY;
            if world.day() % 90 == 89 || step > DAY {
                service.log().clone().close().unwrap();
                drop((service, scheduler));
                world.clock.advance(step);
                (service, scheduler) = world.start().await;
                restarts += 1;
            } else {
                world.clock.advance(step);
            }
            let looked = scheduler.tick().await;
            assert!(!looked.idle && looked.failed == 0, "day {}: {looked:?}", world.day());
            if step > DAY {
                // The version before is also retired: its overlap is over.
                assert_eq!(looked.done, 3, "announced and made once, however long it was");
            }
            looks += 1;
            let stages = stages(&service);
            assert_eq!(stages.iter().filter(|(_, stage)| *stage == LifecycleState::Active).count(), 1);
            assert!(stages.iter().filter(|(_, stage)| *stage == LifecycleState::Pending).count() <= 1);
            assert!(!stats(&service).await.unwrap().keys[0].is_overdue() || world.day() >= 500);
        }
        let versions = service.store().versions_of_key(&OWNER, &KeyName::default());
        // 13 periods of 30 days up to day 390, then one at day 507 (made on day 500, announced for 7 days), then monthly.
        let current =
            versions.iter().find(|version| version.status.lifecycle == LifecycleState::Active).unwrap();
        let expected = 1 + 390 / 30 + 1 + (730 - 507) / 30;
        assert_eq!(current.version.number(), expected, "{:?}", stages(&service));
        for pair in versions.windows(2) {
            let (newer, older) = (&pair[0], &pair[1]);
            let Some(activated) = newer.times.activated else { continue };
            assert_eq!(older.times.superseded, Some(activated), "no gap and no overlap in being current");
            let promised = activated.as_second() - newer.times.created.as_second();
            assert!(
                promised >= 7 * 86_400,
                "v{} had {promised} s between its making and its use",
                newer.version
            );
            if let Some(retired) = older.times.retired {
                assert!(retired.as_second() - activated.as_second() >= 21 * 86_400);
            }
        }
        let retired =
            versions.iter().filter(|version| version.status.lifecycle == LifecycleState::Retired).count();
        let rotations = kinds(&service).await.iter().filter(|kind| *kind == "version.activated").count() - 1;
        println!(
            "{looks} looks over 24 months in {:?}: {rotations} rotations, {retired} retired, {restarts} restarts",
            begun.elapsed()
        );
        let due = kinds(&service).await.iter().filter(|kind| *kind == "version.rotation_due").count();
        assert!(due == rotations || due == rotations + 1, "{due} announcements for {rotations} rotations");
        service.log().clone().close().unwrap();
    });
}

#[test]
fn a_destruction_comes_at_its_date_and_not_by_a_clock_that_jumps() {
    isolated("a_destruction_comes_at_its_date_and_not_by_a_clock_that_jumps", async |data| {
        let world = World::open(data);
        let (service, scheduler) = world.start().await;
        key(&service, Schedule { every_days: 10, announce_days: 1, ..MONTHLY }).await;
        until_the_first_retires(&world, &service, &scheduler).await;
        let destroying =
            service.store().version_by_number(&OWNER, &KeyName::default(), KeyVersionNumber::FIRST).unwrap();
        change(&service, FIRST, LifecycleAction::ScheduleDestroy).await;
        // The scheduled rotations would continue; this test is not about them.
        set_schedule(&service, None).await;

        let right = world.clock.moment().wall;
        world.clock.set_wall(right.saturating_add(Duration::from_secs(365 * 86_400)).unwrap());
        assert!(scheduler.tick().await.idle);
        world.clock.set_wall(right);
        let looked = scheduler.tick().await;
        assert_eq!((looked.idle, looked.done), (false, 0));
        assert!(service.custody().holds(&destroying), "a jump destroyed a key");

        // Not while the log is away either.
        world.clock.advance(29 * DAY);
        assert_eq!(scheduler.tick().await.done, 0);
        world.clock.advance(DAY);
        assert_eq!(scheduler.tick().await.done, 1);
        assert_eq!(stages(&service)[0], (1, LifecycleState::Destroyed));
        assert!(service.custody().public_key(destroying.id).is_none(), "the token still has the record");
        assert_eq!(kinds(&service).await.last().unwrap(), "version.destroyed");

        // A clock that stays ahead is believed in the end.
        world.clock.set_wall(world.clock.moment().wall.saturating_add(90 * DAY).unwrap());
        assert!(scheduler.tick().await.idle);
        world.clock.advance(SETTLING);
        assert!(!scheduler.tick().await.idle);
        service.log().clone().close().unwrap();
        assert!(scheduler.tick().await.idle, "something is done without a log");
    });
}

#[test]
fn a_date_that_is_set_while_the_clock_is_behind_counts_from_the_highest_time_seen() {
    isolated(
        "a_date_that_is_set_while_the_clock_is_behind_counts_from_the_highest_time_seen",
        async |data| {
            let world = World::open(data);
            let (service, scheduler) = world.start().await;
            key(&service, Schedule { every_days: 10, announce_days: 1, ..MONTHLY }).await;
            until_the_first_retires(&world, &service, &scheduler).await;
            let destroying = service
                .store()
                .version_by_number(&OWNER, &KeyName::default(), KeyVersionNumber::FIRST)
                .unwrap();
            set_schedule(&service, None).await;
            let right = world.clock.moment().wall;
            world.clock.set_wall(right.saturating_sub(40 * DAY).unwrap());
            change(&service, FIRST, LifecycleAction::ScheduleDestroy).await;
            world.clock.set_wall(right);
            scheduler.tick().await;
            for _ in 0..29 {
                world.clock.advance(DAY);
                let looked = scheduler.tick().await;
                assert_eq!((looked.idle, looked.done), (false, 0));
            }
            assert!(service.custody().holds(&destroying), "a clock that was behind brought it forward");
            world.clock.advance(DAY);
            assert_eq!(scheduler.tick().await.done, 1);
            service.log().clone().close().unwrap();
        },
    );
}

#[test]
fn a_start_with_a_clock_that_is_ahead_destroys_nothing_until_it_was_observed() {
    isolated("a_start_with_a_clock_that_is_ahead_destroys_nothing_until_it_was_observed", async |data| {
        let world = World::open(data);
        let (service, scheduler) = world.start().await;
        key(&service, Schedule { every_days: 10, announce_days: 1, ..MONTHLY }).await;
        until_the_first_retires(&world, &service, &scheduler).await;
        let destroying =
            service.store().version_by_number(&OWNER, &KeyName::default(), KeyVersionNumber::FIRST).unwrap();
        change(&service, FIRST, LifecycleAction::ScheduleDestroy).await;
        set_schedule(&service, None).await;
        service.log().clone().close().unwrap();
        drop((service, scheduler));

        // The host comes back with a clock that is 31 days ahead; the key is due in 30.
        let right = world.clock.moment().wall;
        world.clock.set_wall(right.saturating_add(31 * DAY).unwrap());
        let (service, scheduler) = world.start().await;
        for _ in 0..6 {
            let looked = scheduler.tick().await;
            assert_eq!((looked.idle, looked.done, looked.failed), (false, 0, 0));
            world.clock.advance(SETTLING / 7);
        }
        assert!(service.custody().holds(&destroying), "a wrong clock destroyed a key");
        // An operator corrects it in time: from that jump on it is observed again.
        world.clock.set_wall(right);
        world.clock.advance(SETTLING - Duration::from_secs(1));
        assert_eq!(scheduler.tick().await.done, 0);
        world.clock.advance(29 * DAY);
        assert_eq!(scheduler.tick().await.done, 0);
        world.clock.advance(DAY);
        assert_eq!(scheduler.tick().await.done, 1);
        assert!(!service.custody().holds(&destroying));
        service.log().clone().close().unwrap();
    });
}

#[test]
fn a_rotation_that_is_not_finished_is_overdue_and_an_old_version_that_still_signs_is_seen() {
    isolated(
        "a_rotation_that_is_not_finished_is_overdue_and_an_old_version_that_still_signs_is_seen",
        async |data| {
            let world = World::open(data);
            let (service, scheduler) = world.start().await;
            key(&service, Schedule { activate: false, retire_on: RetireOn::Confirmed, ..MONTHLY }).await;
            let pass_to = async |day: i64| {
                while world.day() < day {
                    world.clock.advance(DAY);
                    scheduler.tick().await;
                }
                stats(&service).await.unwrap()
            };
            let before = pass_to(29).await;
            assert_eq!(before.keys[0].seconds_to_rotation, Some(86_400));
            assert_eq!(before.keys[0].age_seconds, 29 * 86_400);
            assert!(!before.keys[0].is_overdue());
            let after = pass_to(31).await;
            assert!(after.keys[0].is_overdue(), "{after:?}");
            assert_eq!(stages(&service), [(1, LifecycleState::Active), (2, LifecycleState::Pending)]);

            change(&service, VersionSelector::Next, LifecycleAction::Activate).await;
            assert!(!stats(&service).await.unwrap().keys[0].is_overdue());
            let sign_with_the_old = async || {
                let request = Sign::new(OWNER, KeyName::default(), FIRST, Message::Digest([7; 32]));
                service.signing.sign(operator(), request, soon()).await.unwrap();
                stats(&service).await.unwrap().signing_after_their_end
            };
            pass_to(31 + 20).await;
            assert_eq!(sign_with_the_old().await, 0, "the overlap of 21 days is not over");
            pass_to(31 + 22).await;
            assert_eq!(sign_with_the_old().await, 1);
            let shown = stats(&service).await.unwrap().last_signatures;
            assert_eq!(shown.len(), 1, "{shown:?}");
            assert_eq!(shown[0].1, world.clock.moment().wall);
            change(&service, FIRST, LifecycleAction::Retire).await;
            assert_eq!(
                stats(&service).await.unwrap().signing_after_their_end,
                0,
                "what is retired signs nothing"
            );
            service.log().clone().close().unwrap();
        },
    );
}

#[test]
fn a_shutdown_amid_due_rotations_and_a_stalled_hsm_ends_in_time_and_the_next_start_finishes_them() {
    isolated(
        "a_shutdown_amid_due_rotations_and_a_stalled_hsm_ends_in_time_and_the_next_start_finishes_them",
        async |data| {
            let rules = |text: &str| {
                // Renamed, so that two contents within one tick of the clock differ.
                std::fs::write(data.join("rules.new"), text).unwrap();
                std::fs::rename(data.join("rules.new"), data.join("rules")).unwrap();
            };
            rules("");
            let world = World::over(data, test_report::fault_injection_module(data));
            let names = ["a", "b", "c", "d", "e"].map(|name| name.parse().unwrap());
            let versions = |service: &Services| {
                names.each_ref().map(|name| service.store().versions_of_key(&OWNER, name).len())
            };
            let (service, scheduler) = world.start().await;
            keys(&service, MONTHLY, &names).await;
            world.clock.advance(30 * DAY);
            rules("C_CreateObject hang");
            let before = service.log().head().size;
            let (stop, stopped) = watch::channel(false);
            let task = tokio::spawn(scheduler.run(DAY, stopped));
            let end = Instant::now() + Duration::from_secs(60);
            while service.log().head().size == before {
                assert!(Instant::now() < end, "no rotation began");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send(true).unwrap();
            // One action alone may take 30 s; a stop that waited for it would be killed in the middle of it.
            let limit = SHUTDOWN_TIMEOUT + Duration::from_secs(20);
            tokio::time::timeout(limit, task).await.expect("the scheduler stops in time").unwrap();
            assert_eq!(versions(&service), [1; 5]);
            rules("");
            service.log().clone().close().unwrap();
            drop(service);

            let (service, scheduler) = world.start().await;
            while scheduler.tick().await.done > 0 {}
            assert_eq!(versions(&service), [2; 5]);
            service.log().clone().close().unwrap();
        },
    );
}
