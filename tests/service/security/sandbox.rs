//! The service inside its sandbox: closed on every thread, and every operation works.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{EOA, Installation, Running, point};

const PROFILES: [&str; 2] = ["softhsm", "network"];

/// `/proc/<pid>/task/*/status`: thread by name, field by name.
fn threads(service: &Running) -> Vec<BTreeMap<String, String>> {
    let tasks = fs::read_dir(format!("/proc/{}/task", service.id())).unwrap();
    let read = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    tasks.filter_map(Result::ok).filter_map(read).map(|text| status(&text)).collect()
}

fn status(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(":\t"));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sign(service: &Running, token: &str) -> (u16, String) {
    let hash = point(&hsm::G1Point::generator());
    let answer = service.post("/v1/scalar_mul", Some(token), &json!({"eoa": EOA, "hash": hash}));
    (answer.status, answer.raw)
}

#[test]
fn every_thread_is_filtered_and_without_privileges() {
    // A container may have put a filter on this test already.
    let filters = |thread: &BTreeMap<String, String>| thread["Seccomp_filters"].parse::<usize>().unwrap();
    let outside = filters(&status(&fs::read_to_string("/proc/self/status").unwrap()));
    let installation = Installation::new();
    let token = installation.token(EOA);
    for profile in PROFILES {
        let service = installation.serve_with(|command| {
            command.env("AVS_KMS__SANDBOX__MODE", profile);
        });
        service.create(&token, EOA, "default");
        let threads = threads(&service);
        assert!(threads.len() > 8, "{threads:?}");
        for thread in threads {
            let name = &thread["Name"];
            assert_eq!((&*thread["Seccomp"], filters(&thread)), ("2", outside + 2), "{profile} {name}");
            assert_eq!(thread["NoNewPrivs"], "1", "{profile} {name}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(thread[set], "0000000000000000", "{profile} {name} {set}");
            }
        }
        assert!(service.start.contains("the sandbox is closed"), "{}", service.start);
    }
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__SANDBOX__MODE", "off");
    });
    assert!(threads(&service).iter().all(|thread| filters(thread) == outside));
    assert!(service.start.contains("WARN") && service.start.contains("sandbox.mode"), "{}", service.start);
}

#[test]
fn everything_the_service_does_works_inside() {
    for profile in PROFILES {
        let installation = Installation::new();
        let token = installation.token(EOA);
        let elsewhere = tempfile::tempdir().unwrap();
        let (mirror, checkpoint) = (elsewhere.path().join("mirror"), elsewhere.path().join("checkpoint"));
        let service = installation.serve_with(|command| {
            command
                .env("AVS_KMS__SANDBOX__MODE", profile)
                .env("AVS_KMS__ENCLAVE__CANARY_INTERVAL", "100ms")
                .env("AVS_KMS__AUDIT__JSONL_FILE", &mirror)
                .env("AVS_KMS__AUDIT__CHECKPOINT_FILE", &checkpoint);
        });
        service.create(&token, EOA, "default");
        let segments = || fs::read_dir(installation.data().join("audit")).unwrap().count();
        let before = segments();
        wait_until("a new segment", || {
            (0..64).for_each(|_| assert_eq!(sign(&service, &token).0, 200));
            segments() > before
        });
        wait_until("the mirror", || fs::read(&mirror).is_ok_and(|lines| !lines.is_empty()));
        fs::rename(&mirror, mirror.with_extension("1")).unwrap();
        assert_eq!(sign(&service, &token).0, 200);
        wait_until("a mirror after its rotation", || mirror.exists());

        // The token goes and comes back: recovery initialises the module again, inside.
        let tokens = installation.data().join("token/tokens");
        let object = fs::read_dir(&tokens).unwrap().next().unwrap().unwrap().path();
        fs::rename(&object, tokens.with_file_name("away")).unwrap();
        wait_until("not ready", || service.get("/readyz", None).status == 503);
        fs::rename(tokens.with_file_name("away"), &object).unwrap();
        wait_until("ready again", || service.get("/readyz", None).status == 200);
        assert_eq!(sign(&service, &token).0, 200);
        service.create(&token, EOA, "second");
        // Over admin.sock.
        assert!(installation.must(&["keys", "list", "--eoa", EOA]).contains("second"));
        let socket = installation.data().join("admin.sock");
        assert_eq!(service.stop(), Some(0));
        assert!(checkpoint.exists() && !socket.exists());
        installation.must(&["audit", "verify"]);
    }
}

#[test]
fn files_elsewhere_cannot_be_reached_by_the_running_service() {
    for (profile, reached) in [("softhsm", false), ("network", false), ("off", true)] {
        let installation = Installation::new();
        let token = installation.token(EOA);
        let place = tempfile::tempdir().unwrap();
        let (named, outside) = (place.path().join("named"), place.path().join("outside"));
        fs::create_dir(&named).unwrap();
        fs::create_dir(&outside).unwrap();
        let service = installation.serve_with(|command| {
            command
                .env("AVS_KMS__SANDBOX__MODE", profile)
                .env("AVS_KMS__AUDIT__JSONL_FILE", named.join("mirror"));
        });
        // What the settings name is another directory now: inside the sandbox it does not exist.
        fs::rename(&named, place.path().join("moved")).unwrap();
        symlink(&outside, &named).unwrap();
        service.create(&token, EOA, "default");
        let came = || outside.join("mirror").exists();
        match reached {
            true => wait_until("the control reaches it", came),
            false => wait_until("the refusal", || service.log().contains("mirror")),
        }
        assert_eq!(came(), reached, "{profile}");
        assert_eq!(sign(&service, &token).0, 200);
    }
}

fn token_object(data: &Path) -> PathBuf {
    fs::read_dir(data.join("token/tokens")).unwrap().next().unwrap().unwrap().path().join("token.object")
}

#[test]
fn a_login_cannot_rewrite_the_token_object_and_needs_not() {
    let installation = Installation::new();
    let object = token_object(&installation.data());
    let state = || {
        fs::metadata(&object).map(|found| (found.mode() & 0o777, found.mtime_nsec(), found.ino())).unwrap()
    };
    let token = installation.token(EOA);
    let before = state();
    assert_eq!(before.0, 0o400);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    assert_eq!(sign(&service, &token).0, 200);
    assert_eq!(state(), before, "the login rewrote it");
    drop(service);
    // The trap: a service of root that keeps its privileges rewrites it at every login.
    if rustix::process::geteuid().is_root() {
        installation.serve_with(|command| {
            command.env("AVS_KMS__SANDBOX__MODE", "off");
        });
        assert_ne!(state(), before, "the control did not rewrite it either");
    }
}

/// As it is run in earnest: by a user of its own. Kills at any time of the start do not destroy the token.
#[test]
fn a_service_of_another_user_starts_creates_signs_and_survives_kills_at_its_start() {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        test_report::skipped("needs root to run the service as another user");
        return;
    }
    const OTHER_USER: u32 = 65_534;
    let installation = Installation::empty();
    let home = installation.data().parent().unwrap().to_owned();
    let program = home.join("avs-kms");
    fs::copy(crate::support::program(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&home, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    let as_another_user = |command: &mut std::process::Command| {
        let mut other = std::process::Command::new(&program);
        other.args(command.get_args()).uid(OTHER_USER).gid(OTHER_USER).current_dir(&home);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        *command = other;
    };
    let must = |arguments: &[&str]| {
        let mut command = installation.command(arguments);
        as_another_user(&mut command);
        let output = crate::support::process::output(&mut command);
        assert!(output.status.success(), "{arguments:?}: {}", crate::support::text(&output.stderr));
        crate::support::text(&output.stdout).trim().to_owned()
    };
    must(&["init"]);
    let token = must(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--scope",
        "keys:create",
        "--scope",
        "sign:point",
        "--ttl",
        "1h",
    ]);
    let object = token_object(&installation.data());
    let before = fs::read(&object).unwrap();
    let first = {
        let service = installation.serve_with(|command| {
            as_another_user(command);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        });
        assert!(threads(&service).iter().all(|thread| thread["Uid"].starts_with("65534")));
        let key = service.create(&token, EOA, "default");
        assert_eq!(sign(&service, &token).0, 200);
        key["g1"].clone()
    };
    for kill in 0..30 {
        let mut command = installation.command(&["serve"]);
        as_another_user(&mut command);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(fs::read(&object).unwrap(), before, "token.object was rewritten");
    assert_eq!(fs::metadata(&object).unwrap().uid(), OTHER_USER);
    let service = installation.serve_with(|command| {
        as_another_user(command);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    });
    assert_eq!(service.create(&token, EOA, "default")["g1"], first);
    assert_eq!(sign(&service, &token).0, 200);
}
