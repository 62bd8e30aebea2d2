//! The figures of the image: size, cold start, and what the container costs beside the bare program, in one run.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use avs_kms_client::{Client, KeyRef, RetryPolicy};
use avs_kms_containers::load::{CLIENTS, throughput};
use avs_kms_containers::{EOA, Service, Volume, docker};

/// The program of the image, on this machine; ends with the test.
struct Bare {
    process: Child,
    directory: tempfile::TempDir,
    url: String,
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(directory: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let program =
        std::env::var_os("AVS_KMS_PROGRAM").expect("AVS_KMS_PROGRAM; `make test-containers` sets it");
    let mut command = Command::new(program);
    command.arg("--data").arg(directory.path().join("var")).args(arguments);
    command.current_dir(directory.path()).stdin(Stdio::null()).env_remove("SOFTHSM2_CONF");
    // As the containers have it.
    command.env("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576");
    command.env("AVS_KMS__LIMITS__KEYS_PER_EOA", "100000");
    command.env("AVS_KMS__SERVER__HEALTH_LISTEN", "127.0.0.1:0");
    command
}

fn output(directory: &tempfile::TempDir, arguments: &[&str]) -> String {
    let output = program(directory, arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

impl Bare {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        output(&directory, &["init"]);
        let mut serve = program(&directory, &["serve", "--listen", "127.0.0.1:0"]);
        let mut process = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url =
            lines.find_map(|line| line.split_once("listening on ").map(|(_, url)| url.trim().to_owned()));
        // The pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, directory, url: url.expect("the service says where it listens") }
    }

    fn client(&self) -> Client {
        let scopes = ["--scope", "keys:create", "--scope", "sign:digest"];
        let token = output(
            &self.directory,
            &[&["access-token", "issue", "--eoa", EOA, "--ttl", "1h"][..], &scopes].concat(),
        );
        Client::new(&self.url, token.into()).unwrap().with_retry_policy(RetryPolicy::NONE)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    let image = docker().await.inspect_image("avs-kms:latest").await.unwrap();
    println!("image: {:.1} MB", image.size.unwrap() as f64 / 1e6);

    let volume = Volume::initialised("figures").await;
    let mut starts = Vec::new();
    for _ in 0..3 {
        let service = Service::over(&volume).await;
        starts.push(service.start.as_millis());
        let (ended, _) = service.stop().await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    println!("from `docker run` to ready: {starts:?} ms");

    let (service, bare) = (Service::over(&volume).await, Bare::start());
    let clients = [service.client().await, bare.client()];
    for client in &clients {
        client.create_key(&KeyRef::new(EOA)).await.unwrap();
    }
    // Turn by turn, so that a busy moment of the machine hits both.
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..3 {
        for (client, rates) in clients.iter().zip(&mut rates) {
            rates.push(throughput(client, round, Duration::from_secs(2)).await);
        }
    }
    let [container, bare] = rates.map(|rates| rates.iter().sum::<f64>() / rates.len() as f64);
    println!(
        "{CLIENTS} clients: {container:.0} signatures a second through the container, {bare:.0} by the bare program ({:.2})",
        container / bare
    );
    // Loopback through the engine's proxy costs something; four fifths would be a mistake of ours.
    assert!(container > bare / 5.0, "the container is slow");
}
