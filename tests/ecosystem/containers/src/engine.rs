//! Our image in the engine that `DOCKER_HOST` or this machine has: containers, their volumes and what they said.
//!
//! Every container is started as `deploy/README.md` says: read-only root, no capability, locked memory, one volume.
//! Not for: what the service answers (`load`), curve mathematics (`pairing`).

pub mod load;
pub mod pairing;

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use avs_kms_client::{Client, RetryPolicy};
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{HostConfig, PortBinding, ResourcesUlimits};
use testcontainers::bollard::query_parameters::KillContainerOptionsBuilder;
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::wait::ExitWaitStrategy;
use testcontainers::core::{CmdWaitFor, ExecCommand, Mount, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

/// The program within the image.
pub const PROGRAM: &str = "/usr/bin/avs-kms";

/// Bytes of memory that may be locked: the kernel's own default, which an engine can give that may not raise limits.
pub const MEMLOCK: i64 = 8 << 20;

/// Whose keys the tests make.
pub const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// The engine's interface, for what testcontainers has no words for.
pub async fn docker() -> Docker {
    docker_client_instance().await.expect("a Docker engine; `make docker` starts one")
}

/// A named volume; gone with the test.
pub struct Volume(String);

impl Volume {
    /// The engine makes it when the first container mounts it.
    pub fn new(name: &str) -> Self {
        let volume = Self(format!("avs-kms-test-{}-{name}", std::process::id()));
        volume.remove();
        volume
    }

    /// A volume in memory, of this many bytes. Its content lasts as long as a container has it.
    pub fn small(name: &str, mebibytes: u32) -> Self {
        let volume = Self::new(name);
        let options = format!("o=size={mebibytes}m,uid=10001,gid=10001,mode=0700");
        let made = Command::new("docker")
            .args(["volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", &options])
            .arg(&volume.0)
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "no volume in memory");
        volume
    }

    /// Where the image wants it.
    pub fn mount(&self) -> Mount {
        Mount::volume_mount(&self.0, "/data")
    }

    /// One that `avs-kms init` has filled.
    pub async fn initialised(name: &str) -> Self {
        let volume = Self::new(name);
        once(ours(Some(volume.mount())), &["init"]).await.must();
        volume
    }

    /// Runs a shell over it, as the service's user: the image itself has none.
    pub async fn shell(&self, script: &str) -> Ended {
        let base = base().await.with_user("10001:10001").with_mount(self.mount());
        once(base, &["sh", "-euc", script]).await
    }

    fn remove(&self) {
        let _ = Command::new("docker")
            .args(["volume", "rm", "--force", &self.0])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: i64,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Its standard output, where it went well.
    pub fn must(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.trim_end().to_owned()
    }

    /// It failed with this status and one clear sentence, and not by an accident of the program.
    pub fn refused(&self, code: i64, sentence: &str) {
        assert_eq!(self.code, code, "{self:?}");
        // Threads that still run may log after it.
        let sentences: Vec<_> = self.stderr.lines().filter(|line| line.starts_with("avs-kms: ")).collect();
        let [last] = sentences[..] else { panic!("not one sentence: {self:?}") };
        assert!(last.contains(sentence), "not {sentence:?}: {self:?}");
        for accident in ["panicked", "backtrace", "stack", "thread '"] {
            assert!(!self.stderr.contains(accident), "{self:?}");
        }
        println!("exit {code}: {last}");
    }
}

/// The image that our image was made on: it has a shell, for what surrounds a test.
pub async fn base() -> ContainerRequest<GenericImage> {
    let image =
        docker().await.inspect_image("avs-kms:latest").await.expect("the image; `make image` builds it");
    let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
    let (name, tag) = labels["org.opencontainers.image.base.name"].rsplit_once(':').expect("name:tag");
    GenericImage::new(name, tag).into()
}

/// Our image as it should be run, over a volume if there is one.
pub fn ours(data: Option<Mount>) -> ContainerRequest<GenericImage> {
    ours_with(data, MEMLOCK)
}

/// The same with this many bytes of lockable memory.
pub fn ours_with(data: Option<Mount>, memlock: i64) -> ContainerRequest<GenericImage> {
    let request = GenericImage::new("avs-kms", "latest")
        .with_readonly_rootfs(true)
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges")
        .with_env_var("AVS_KMS__SERVER__LISTEN", "0.0.0.0:8254")
        .with_env_var("AVS_KMS__SERVER__ALLOW_PLAIN_HTTP", "true")
        .with_env_var("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576")
        .with_env_var("AVS_KMS__LIMITS__KEYS_PER_EOA", "100000")
        // All clients of a load at once, on however few cores.
        .with_startup_timeout(Duration::from_secs(120))
        .with_host_config_modifier(move |host: &mut HostConfig| {
            let limit = |name: &str, value| ResourcesUlimits {
                name: Some(name.into()),
                soft: Some(value),
                hard: Some(value),
            };
            host.ulimits = Some(vec![limit("memlock", memlock), limit("core", 0)]);
            // On this machine's loopback alone, on a port that the engine chooses.
            let here = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) };
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(HashMap::from([("8254/tcp".to_owned(), Some(vec![here]))]));
        });
    match data {
        Some(mount) => request.with_mount(mount),
        None => request,
    }
}

/// Runs a command to its end in a container of its own.
pub async fn once(request: ContainerRequest<GenericImage>, command: &[&str]) -> Ended {
    let exit = WaitFor::exit(ExitWaitStrategy::new().with_poll_interval(Duration::from_millis(20)));
    let container = request.with_cmd(command.to_vec()).with_ready_conditions(vec![exit]).start().await;
    let container = container.expect("the container runs and ends");
    let ended = ended(&container).await;
    container.rm().await.expect("the container is removed");
    ended
}

async fn ended(container: &ContainerAsync<GenericImage>) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended {
        code: container.exit_code().await.expect("inspected").expect("it has ended"),
        stdout: text(container.stdout_to_vec().await.expect("its output")),
        stderr: text(container.stderr_to_vec().await.expect("its output")),
    }
}

/// `avs-kms serve` in a container.
pub struct Service {
    container: ContainerAsync<GenericImage>,
    /// Where it is from here.
    pub url: String,
    /// From the engine's being asked to the first `/readyz` that says yes.
    pub start: Duration,
}

impl Service {
    /// Starts it over a volume and waits until it is ready.
    pub async fn over(volume: &Volume) -> Self {
        Self::start(ours(Some(volume.mount()))).await
    }

    /// Starts what is asked for and waits until it is ready.
    pub async fn start(request: ContainerRequest<GenericImage>) -> Self {
        let begun = Instant::now();
        let container = request.start().await.expect("the container starts");
        let port = container.get_host_port_ipv4(8254).await.expect("a published port");
        let url = format!("http://127.0.0.1:{port}");
        let mut service = Self { container, url, start: Duration::ZERO };
        let client = Client::anonymous(&service.url).expect("an address");
        while client.ready().await.is_err() {
            if !service.container.is_running().await.expect("inspected") {
                panic!("the service did not start: {:?}", ended(&service.container).await);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "not ready: {}", service.log().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        service.start = begun.elapsed();
        service
    }

    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// What it has said so far.
    pub async fn log(&self) -> String {
        String::from_utf8_lossy(&self.container.stderr_to_vec().await.expect("its log")).into_owned()
    }

    /// Runs the program beside the service, in its container.
    pub async fn command(&self, arguments: &[&str]) -> Ended {
        self.exec([&[PROGRAM, "--data", "/data"], arguments].concat()).await.expect("the engine runs it")
    }

    /// Runs anything in the service's container; an error where there is no such program.
    pub async fn exec(&self, command: Vec<&str>) -> Result<Ended, testcontainers::TestcontainersError> {
        let command = ExecCommand::new(command).with_cmd_ready_condition(CmdWaitFor::exit());
        let mut result = self.container.exec(command).await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended {
            stdout: text(result.stdout_to_vec().await?),
            stderr: text(result.stderr_to_vec().await?),
            code: result.exit_code().await?.unwrap_or(-1),
        })
    }

    /// A client of a published port has an address of the engine's network.
    async fn gateway(&self) -> String {
        let container = docker().await.inspect_container(self.id(), None).await.expect("inspected");
        let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let gateway = networks.into_values().find_map(|network| network.gateway);
        gateway.expect("a network with a gateway")
    }

    /// A client with a token for everything that the tests do; each call is made once.
    pub async fn client(&self) -> Client {
        let network = format!("{}/32", self.gateway().await);
        let mut arguments = vec!["access-token", "issue", "--eoa", EOA, "--ttl", "1h", "--network", &network];
        for scope in ["keys:read", "keys:create", "sign:digest"] {
            arguments.extend(["--scope", scope]);
        }
        let token = self.command(&arguments).await.must();
        Client::new(&self.url, token.into()).expect("an address").with_retry_policy(RetryPolicy::NONE)
    }

    /// SIGKILL: no goodbye. The container stays dead and is removed.
    pub async fn kill(self) {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        docker().await.kill_container(self.id(), Some(options)).await.expect("the container is killed");
        while self.container.is_running().await.expect("inspected") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.container.rm().await.expect("the container is removed");
    }

    /// `docker stop`: SIGTERM and 40 seconds. How it ended and after which time.
    pub async fn stop(self) -> (Ended, Duration) {
        let begun = Instant::now();
        self.container.stop_with_timeout(Some(40)).await.expect("the engine stops it");
        let time = begun.elapsed();
        let ended = ended(&self.container).await;
        self.container.rm().await.expect("the container is removed");
        (ended, time)
    }
}
