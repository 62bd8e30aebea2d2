//! `avs-kms` as it ships, over an installation of its own, for the test crates outside the main workspace.
//!
//! `make` sets `AVS_KMS_PROGRAM` to the path of the program.

#![allow(dead_code, reason = "each crate uses its part")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// All that a runbook's token needs; each scope is one word of `token issue`.
pub const SCOPES: &[&str] = &["keys:create", "keys:read", "sign:typed", "sign:digest", "sign:point"];

/// A data directory with a fresh SoftHSM token.
pub struct Installation {
    directory: TempDir,
    /// Its installation id, as `init` prints it.
    pub id: String,
}

impl Installation {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut installation = Self { directory, id: String::new() };
        let said = installation.must(&["init"]);
        let id = said.split("installation ").nth(1).and_then(|rest| rest.split(',').next());
        installation.id = id.expect("init prints the installation id").to_owned();
        installation
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program =
            std::env::var("AVS_KMS_PROGRAM").expect("AVS_KMS_PROGRAM; `make test-txtx test-chain` set it");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("SOFTHSM2_CONF")
            .env("AVS_KMS__DATA__DIRECTORY", self.directory.path().join("var"))
            .env("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576")
            .env("AVS_KMS__SERVER__HEALTH_LISTEN", "127.0.0.1:0")
            // The second key of every development node.
            .env("AVS_KMS__AUTH__ALLOWED_OPERATORS", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
            // Tests fail on purpose, and often, from one address.
            .env("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS", "0")
            .stdin(Stdio::null());
        command
    }

    /// What a command that must work says.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A token, as the README of the runbooks says.
    pub fn token(&self, eoa: &str, scopes: &[&str]) -> String {
        let mut arguments = vec!["access-token", "issue", "--eoa", eoa, "--ttl", "1h"];
        scopes.iter().for_each(|scope| arguments.extend(["--scope", *scope]));
        self.must(&arguments)
    }

    /// Starts the service with these settings (`AVS_KMS__…`).
    pub fn serve(&self, settings: &[(&str, &str)]) -> Running {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(settings.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the service starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let url = lines.by_ref().find_map(|line| {
            let url = line.split("listening on ").nth(1).map(|url| url.trim().to_owned());
            said.push(line);
            url
        });
        // The pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        let url = url.unwrap_or_else(|| panic!("the service did not start:\n{}", said.join("\n")));
        Running { child: Some(child), url }
    }
}

/// The service, until dropped.
pub struct Running {
    child: Option<Child>,
    pub url: String,
}

impl Running {
    /// An address without a listener.
    pub fn nowhere(address: &str) -> Self {
        Self { child: None, url: format!("http://{address}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
