//! From the configuration to an open service, in the order that refuses fastest.

use crate::auth::Audience;
use crate::chain::Chain;
use crate::config::{Configuration, FaultCheck, TokenSelector};
use crate::outbound::Outbound;
use crate::service::{Custody, LoginRules, Service};
use crate::store::Store;
use audit_log::{AuditLog, BuildInfo, OpenIntent};

use super::sandbox::drop_privileges;
use crate::cli::error::Failed;

/// Whether a command needs the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Needs {
    /// The store and the log alone.
    Books,
    /// The token, too.
    Token,
}

/// An open service and what an earlier process left open.
pub(in crate::cli) struct Opened {
    pub(in crate::cli) service: Service,
    pub(in crate::cli) open_intents: Vec<OpenIntent>,
}

/// Opens store, log and token. The data directory must be locked and the environment prepared.
pub(in crate::cli) fn open(configuration: &Configuration, needs: Needs) -> Result<Opened, Failed> {
    let path = configuration.data.store();
    let store = Store::open(&path).map_err(|error| {
        let hint = if path.exists() { "" } else { " (is this a data directory? `avs-kms init` makes one)" };
        Failed::while_trying(format!("cannot open the store {}{hint}", path.display()), &error)
    })?;
    let boot =
        BuildInfo { version: env!("CARGO_PKG_VERSION").to_owned(), config_digest: configuration.digest };
    let (audit, open_intents) = AuditLog::open(audit_settings(configuration), boot).map_err(|error| {
        let directory = configuration.audit.directory.display();
        Failed::while_trying(format!("cannot open the audit log {directory}"), &error)
    })?;
    let custody = match needs {
        Needs::Books => Custody::absent(),
        Needs::Token => {
            drop_privileges(configuration)?;
            let enclave = hsm::Enclave::open(enclave_settings(configuration))
                .map_err(|error| Failed::while_trying("cannot open the token", &error))?;
            Custody::new(enclave, configuration.enclave.canary_interval)
        }
    };
    let chain = chain(configuration)?;
    let service = Service::new(store, audit, custody, configuration.server.request_deadline)
        .with_login(login_rules(configuration, chain.clone())?)
        .with_chain(chain);
    Ok(Opened { service, open_intents })
}

/// The node of `[chain]`, if one is configured.
fn chain(configuration: &Configuration) -> Result<Option<Chain>, Failed> {
    let settings = &configuration.chain;
    if settings.rpc_url.is_empty() {
        return Ok(None);
    }
    let endpoint =
        settings.rpc_url.parse().map_err(|error| Failed::usage(format!("chain.rpc_url: {error}")))?;
    let outbound = Outbound::new(settings.timeout)
        .map_err(|error| Failed::while_trying("cannot ask a chain", &error))?;
    Ok(Some(Chain::new(endpoint, outbound)))
}

/// The rules of logins; `serve` has filled in the URL where none is configured.
fn login_rules(configuration: &Configuration, chain: Option<Chain>) -> Result<LoginRules, Failed> {
    let auth = &configuration.auth;
    let listening = format!("http://{}", configuration.server.listen);
    let url = if auth.url.is_empty() { &listening } else { &auth.url };
    let audience =
        Audience::new(url, auth.chain_id).map_err(|error| Failed::usage(format!("auth.url: {error}")))?;
    let operators = auth
        .operators
        .split_ascii_whitespace()
        .map(|text| text.parse().map_err(|error| Failed::usage(format!("auth.operators: {text}: {error}"))));
    Ok(LoginRules {
        audience,
        usual_life: auth.token_ttl,
        longest_life: auth.max_token_ttl,
        operators: operators.collect::<Result<_, _>>()?,
        chain,
    })
}

pub(in crate::cli) fn audit_settings(configuration: &Configuration) -> audit_log::Settings {
    let audit = &configuration.audit;
    audit_log::Settings { segment_bytes: audit.segment_bytes, ..audit_log::Settings::new(&audit.directory) }
}

pub(in crate::cli) fn enclave_settings(configuration: &Configuration) -> hsm::Settings {
    let (token, enclave) = (&configuration.token, &configuration.enclave);
    hsm::Settings {
        module: token.module.clone(),
        token: match &token.selector {
            TokenSelector::Label(label) => hsm::TokenSelector::Label(label.clone()),
            TokenSelector::Serial(serial) => hsm::TokenSelector::Serial(serial.clone()),
        },
        pin_file: token.pin_file.clone(),
        lock_file: configuration.data.token_lock(),
        sync_directory: token.softhsm_directory(),
        workers: enclave.workers,
        queue: enclave.queue,
        require_secret_memory: enclave.require_secret_memory,
        fault_check: match enclave.fault_check {
            FaultCheck::Curve => hsm::FaultCheck::Curve,
            FaultCheck::Linear => hsm::FaultCheck::Linear,
        },
        canary_interval: enclave.canary_interval,
        stall_limit: enclave.stall_limit,
    }
}

/// The SoftHSM token of the configuration; none where another module is configured.
pub(in crate::cli) fn softhsm_token(
    configuration: &Configuration,
) -> Result<Option<hsm::SofthsmToken>, Failed> {
    let token = &configuration.token;
    let Some(conf) = &token.softhsm_conf else { return Ok(None) };
    let TokenSelector::Label(label) = &token.selector else {
        return Err(Failed::usage("a SoftHSM token goes by label: set token.label, not token.serial"));
    };
    let directory = std::path::absolute(conf.parent().unwrap_or(&configuration.data.directory))
        .map_err(|error| Failed::while_trying("cannot name the token directory", &error))?;
    Ok(Some(hsm::SofthsmToken {
        module: token.module.clone(),
        directory,
        label: label.clone(),
        pin_file: token.pin_file.clone(),
        lock_file: configuration.data.token_lock(),
    }))
}

/// No core and no debugger for a process that will hold a PIN and, for an instant, scalars.
fn harden() -> Result<(), Failed> {
    hsm::harden_process().map_err(|error| Failed::while_trying("cannot harden this process", &error))
}

/// Hardens this process, and first runs the program again with `SOFTHSM2_CONF` set, where it is not: the module reads it from the
/// environment of its process, and replacing the process is the way to set that without `unsafe`.
pub(in crate::cli) fn with_softhsm_environment(configuration: &Configuration) -> Result<(), Failed> {
    use std::os::unix::process::CommandExt;

    const VARIABLE: &str = "SOFTHSM2_CONF";
    let Some(path) = &configuration.token.softhsm_conf else { return harden() };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    if std::env::var_os(VARIABLE).is_some_and(|value| value == path.as_os_str()) {
        return harden();
    }
    let program = std::env::current_exe()
        .map_err(|error| Failed::while_trying("cannot find this program's file", &error))?;
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(VARIABLE, path).exec();
    Err(Failed::while_trying("cannot start this program again with SOFTHSM2_CONF set", &error))
}
