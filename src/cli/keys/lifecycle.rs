//! `avs-kms keys rotate|activate|retire|unretire|disable|enable|destroy|restore`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::arguments::{Binding, KeyRef, Reason, put};
use super::print::details;
use crate::cli::admin::local_socket::{LocalRequest, left_to_next_start, send, send_or_record};
use crate::cli::error::CliError;
use crate::cli::output::{Output, confirm, list, member};
use crate::config::Configuration;
use crate::key::{KeyVersionNumber, VersionSelector};
use crate::service::TakeAway;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Create the next version of a key; it is pending until it is activated
    ///
    /// A key that is bound to a registry gets its registration proof, too.
    #[command(after_help = "Example:\n  avs-kms keys rotate --eoa 0x… --version 2 --reason \"yearly\"")]
    Rotate {
        #[command(flatten)]
        key: KeyRef,
        /// Expected number of the new version; a repetition then creates no other
        #[arg(long)]
        version: Option<u32>,
        #[command(flatten)]
        binding: Binding,
        #[command(flatten)]
        reason: Reason,
    },
    /// Make the pending version current; the old version still signs when asked for by number
    ///
    /// A retiring version can become current again: name its number.
    #[command(after_help = "Example:\n  avs-kms keys activate --eoa 0x… --version 2")]
    Activate(VersionRef),
    /// Retire a version that is no longer current: it signs nothing until it is unretired
    #[command(after_help = "Example:\n  avs-kms keys retire --eoa 0x… --version 1")]
    Retire {
        #[command(flatten)]
        version: VersionRef,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make a retired version retiring again: it signs when asked for by number
    #[command(after_help = "Example:\n  avs-kms keys unretire --eoa 0x… --version 1")]
    Unretire(NamedVersion),
    /// Disable a version: it signs nothing until it is enabled
    ///
    /// While the service is stopped and the token is away, the next start carries it out before it signs anything.
    #[command(after_help = "Example:\n  avs-kms keys disable --eoa 0x… --version current")]
    Disable(VersionRef),
    /// Enable a disabled version
    #[command(after_help = "Example:\n  avs-kms keys enable --eoa 0x… --version current")]
    Enable(VersionRef),
    /// Schedule the destruction of a version
    #[command(after_help = "Example:\n  avs-kms keys destroy --eoa 0x… --version 1 --after-days 30")]
    Destroy {
        #[command(flatten)]
        version: NamedVersion,
        /// Days until it is destroyed, at least 7
        #[arg(long, default_value_t = crate::service::GRACE_DAYS)]
        after_days: u32,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Cancel the destruction of a version before its date
    #[command(after_help = "Example:\n  avs-kms keys restore --eoa 0x… --version 1")]
    Restore(NamedVersion),
}

/// A version of a key.
#[derive(Debug, Args)]
pub(in crate::cli) struct VersionRef {
    #[command(flatten)]
    key: KeyRef,
    /// Number of the version, `current` or `next` [default: the pending version for activate, the only
    /// retiring one for retire, else the current one]
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    reason: Reason,
}

/// A version of a key where none is the usual one.
#[derive(Debug, Args)]
pub(in crate::cli) struct NamedVersion {
    #[command(flatten)]
    key: KeyRef,
    /// Number of the version
    #[arg(long)]
    version: String,
    #[command(flatten)]
    reason: Reason,
}

impl VersionRef {
    fn body(&self) -> Value {
        body(&self.key, self.version.as_deref(), &self.reason)
    }

    /// To disable it while the token is away.
    fn take_away(&self) -> Result<TakeAway, CliError> {
        let version = match self.version.as_deref() {
            None | Some("current") => VersionSelector::Current,
            Some("next") => VersionSelector::Next,
            Some(text) => {
                let number = text.parse().ok().and_then(KeyVersionNumber::new);
                let number = number
                    .ok_or_else(|| CliError::usage("a version is a number from 1, `current` or `next`"))?;
                VersionSelector::Number(number)
            }
        };
        let (eoa, name) = self.key.owner_and_name();
        Ok(TakeAway::Disable { eoa, name, version })
    }
}

impl NamedVersion {
    fn body(&self) -> Value {
        body(&self.key, Some(&self.version), &self.reason)
    }
}

fn body(key: &KeyRef, version: Option<&str>, reason: &Reason) -> Value {
    let mut body = key.body();
    // A number is sent as a number; the service reads the names.
    let version = version.map(|text| text.parse::<u32>().map_or_else(|_| Value::from(text), Value::from));
    put(&mut body, "version", version);
    reason.put(&mut body);
    body
}

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let (path, body) = match command {
        Command::Rotate { key, version, binding, reason } => {
            let mut body = key.body();
            put(&mut body, "version", *version);
            reason.put(&mut body);
            binding.put(&mut body);
            ("rotate", body)
        }
        Command::Activate(version) => ("activate", version.body()),
        Command::Retire { version, yes } => {
            let since = retiring_since(configuration, &version.key)?;
            let question = format!(
                "retire stops the signatures of {} of the key {} at once; {since}. Operator tables may name it for \
                 weeks. Does no client need it any more?",
                version
                    .version
                    .as_ref()
                    .map_or_else(|| "the retiring version".to_owned(), |v| format!("version {v}")),
                version.key.label(),
            );
            confirm(&question, *yes)?;
            ("retire", version.body())
        }
        Command::Unretire(version) => ("unretire", version.body()),
        Command::Disable(version) => ("disable", version.body()),
        Command::Enable(version) => ("enable", version.body()),
        Command::Destroy { version, after_days, yes } => {
            let question = format!(
                "destroy stops the signatures of version {} of the key {} at once and destroys its scalar after \
                 {after_days} days, for ever: no backup of a hardware HSM brings it back. Is that what you want?",
                version.version,
                version.key.label(),
            );
            confirm(&question, *yes)?;
            let mut body = version.body();
            put(&mut body, "after_days", Some(*after_days));
            ("destroy", body)
        }
        Command::Restore(version) => ("restore", version.body()),
    };
    let request = LocalRequest::post(format!("/v1/keys/{path}"), body);
    let response = if let Command::Disable(version) = command {
        send_or_record(configuration, request, (version.take_away()?, version.reason.text()))?
    } else {
        send(configuration, request)?
    };
    output.print(&response, || {
        if let Some(left) = left_to_next_start(&response) {
            return left;
        }
        let changed = is_changed(&response);
        let warning =
            response.get("warning").map(|_| format!("warning: {}\n", member(&response, "/warning")));
        let what = if changed { next_step(command, &response) } else { unchanged(&response) };
        format!("{}{what}\n{}", warning.unwrap_or_default(), details(&response))
    });
    // Nothing was scheduled, so nothing was cancelled: the version does what it did before.
    if matches!(command, Command::Restore(_)) && !is_changed(&response) {
        return Err(CliError::new("its destruction was not scheduled: nothing was restored"));
    }
    Ok(())
}

fn is_changed(response: &Value) -> bool {
    ["/changed", "/created"].iter().any(|pointer| member(response, pointer) == "true")
}

/// Since when each retiring version is no longer current.
fn retiring_since(configuration: &Configuration, key: &KeyRef) -> Result<String, CliError> {
    let (eoa, name) = key.owner_and_name();
    let shown =
        send(configuration, LocalRequest::list(format!("/v1/keys/{eoa}/{name}?limit=1000"), "versions"))?;
    let retiring = list(&shown, "versions").iter().filter(|version| member(version, "/state") == "retiring");
    let since: Vec<_> = retiring
        .map(|version| {
            format!(
                "version {} is retiring since {}",
                member(version, "/version"),
                member(version, "/retiring_at")
            )
        })
        .collect();
    Ok(if since.is_empty() { "no version is retiring".to_owned() } else { since.join(", ") })
}

/// What happened, and what to do next.
fn next_step(command: &Command, response: &Value) -> String {
    let (version, state) = (member(response, "/version"), member(response, "/state"));
    let now = format!("version {version} is {state}");
    match command {
        Command::Rotate { .. } => {
            format!("{now}. Next: register it on the chain, then `avs-kms keys activate --version {version}`")
        }
        Command::Activate(_) => format!("{now}: clients that name no version sign with it from now on"),
        Command::Retire { .. } => format!("{now}: it signs nothing. `avs-kms keys unretire` takes that back"),
        Command::Unretire(_) | Command::Enable(_) => format!("{now}: it signs again"),
        Command::Disable(_) => format!("{now}: it signs nothing. `avs-kms keys enable` takes that back"),
        Command::Destroy { .. } => format!(
            "{now}: it signs nothing. Until {} `avs-kms keys restore --version {version}` takes that back",
            member(response, "/destroy_at")
        ),
        Command::Restore(_) => format!("{now}: its destruction is cancelled"),
    }
}

fn unchanged(response: &Value) -> String {
    format!("nothing changed: version {} is {}", member(response, "/version"), member(response, "/state"))
}
