//! Opening of the service from the configuration: store, audit log, token.

pub(in crate::cli) mod environment;
pub(in crate::cli) mod stall;
pub(in crate::cli) mod token;

use std::sync::Arc;

use crate::auth::{Audience, InstallationId};
use crate::backup::JOURNAL;
use crate::chain::RpcClient;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::key::{AddressError, Eoa};
use crate::outbound::Outbound;
use crate::sandbox::Profile;
use crate::service::operation::STORE_REFUSED;
use crate::service::{AllowedOperators, Custody, LoginRules, ServiceParts, Services, public_key_of};
use crate::store::{SqliteBackend, SqliteFile, SqliteRecords, Store, StoreError};
use audit_log::{Actor, AuditLog, BuildInfo, Event, Input, OpenIntent, Value};
use hsm::StoreKey;
use tokio::runtime::Runtime;

use self::stall::CallWatch;
use self::token::enclave_settings;
use super::accepted::Accepted;
use super::limits;
use super::sandbox::{drop_privileges, profile};
use super::stamps;
use crate::cli::error::CliError;
use crate::cli::init::attempt::forget;
use crate::cli::init::remains::{JOURNAL as INIT_JOURNAL, explain_missing};
use crate::cli::output::say;

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Needs {
    /// The audit log only; there is no store that could be read.
    Log,
    /// Store and token: the token has the key that the rows of the store are verified with.
    Token,
}

/// An open service, and the intents that the last run left open.
pub(in crate::cli) struct Opened {
    pub(in crate::cli) services: Services,
    pub(in crate::cli) open_intents: Vec<OpenIntent>,
}

/// Creates the store that [`open`] opens: without rows, and with these wrapped records.
pub(in crate::cli) fn create_store(
    configuration: &Configuration,
    key: StoreKey,
    records: &SqliteRecords,
) -> Result<(), StoreError> {
    SqliteBackend::create(&configuration.data.store(), Arc::new(key), &records.all()?)
}

/// Opens store, log and token. The caller holds the lock of the data directory.
pub(in crate::cli) fn open(
    configuration: &Configuration,
    needs: Needs,
    accepted: &Accepted,
    runtime: &Runtime,
) -> Result<Opened, CliError> {
    let file = match needs {
        Needs::Log => None,
        Needs::Token => Some(store_file(configuration, runtime)?),
    };
    let installation = file.as_ref().map(SqliteFile::installation).transpose();
    let installation =
        installation.map_err(|error| store_error(configuration, &error))?.map(InstallationId::new);
    let boot = boot(configuration, installation);
    let (audit, open_intents) = AuditLog::open(audit_settings(configuration), boot).map_err(|error| {
        let directory = configuration.audit.directory.display();
        CliError::context(format!("cannot open the audit log {directory}"), &error)
    })?;
    let (custody, store, installation) = match file {
        None => {
            let key = StoreKey::random().map_err(|error| CliError::context("cannot lock memory", &error))?;
            (Custody::absent(), empty_store(runtime, key)?, InstallationId::new([0; 16]))
        }
        Some(file) => {
            drop_privileges(configuration)?;
            let mut settings = enclave_settings(configuration, Some(Arc::new(file.records())));
            settings.lease.take_over = accepted.take_over_token;
            let watch = CallWatch::begin(configuration, say)?;
            let enclave = hsm::Enclave::open(settings).map_err(|error| {
                // Its lock is free when this returns: the command may record something without the token.
                let _ = audit.clone().close();
                let mut failed = CliError::token("cannot open the token", &error);
                if was_moved(configuration, &error) {
                    failed = failed.with_hint(MOVED_HINT);
                }
                if may_miss_files(configuration, &error) { failed.with_hint(SANDBOX_HINT) } else { failed }
            })?;
            drop(watch);
            refuse_moved(configuration, &enclave).inspect_err(|_| drop(audit.clone().close()))?;
            let key = enclave.store_key();
            let installation = InstallationId::new(key.installation());
            let store = runtime.block_on(Store::over(Box::new(SqliteBackend::new(file, key))));
            let store = store.and_then(|store| {
                runtime.block_on(stamps::check(&store, &audit, &accepted.accept_store_rollback))?;
                Ok(store)
            });
            let store = store.map_err(|error| refused(configuration, runtime, &audit, &error))?;
            (Custody::new(enclave, configuration.enclave.canary_interval), store, installation)
        }
    };
    let chain = chain(configuration)?;
    let services = Services::new(ServiceParts {
        store,
        log: audit,
        custody,
        clock: Clock::system(),
        request_deadline: configuration.server.request_deadline,
        quotas: limits::quotas(configuration),
        login: Some(login_rules(configuration, installation, chain.clone())?),
        node: chain,
    });
    Ok(Opened { services, open_intents })
}

const SANDBOX_HINT: &str =
    "if the sandbox hides files of the module, `avs-kms doctor` tells which to name in sandbox.extra_paths";

const MOVED_HINT: &str = "the keys of this installation were moved by `avs-kms rewrap`: if this is the configuration of before, \
                          start with the one that was given to it as --to-config";

/// Whether the token lacks what a move to another one destroys, and there was such a move.
fn was_moved(configuration: &Configuration, error: &hsm::OpenError) -> bool {
    let lacks = matches!(
        error,
        hsm::OpenError::KekMissing { .. }
            | hsm::OpenError::CanaryMissing { .. }
            | hsm::OpenError::CanaryFailed { .. }
            | hsm::OpenError::CheckpointKey { .. }
            | hsm::OpenError::StoreKey { .. }
    );
    lacks && audit_log::checkpoint_keys(&configuration.audit.directory).is_ok_and(|keys| !keys.is_empty())
}

/// Refuses the side that all keys were moved from, as long as it is there: what is made in it would be lost.
fn refuse_moved(configuration: &Configuration, enclave: &hsm::Enclave) -> Result<(), CliError> {
    let keys = audit_log::checkpoint_keys(&configuration.audit.directory)
        .map_err(|error| CliError::context("cannot read the audit log", &error))?;
    let Some((_, replaced)) = keys.split_last() else { return Ok(()) };
    let key = enclave.checkpoint_key().map_err(|error| CliError::context("cannot read its key", &error))?;
    let key = public_key_of(key);
    match replaced.iter().any(|old| old.public_key() == key) {
        true => Err(CliError::new("this token is the old side of a move").with_hint(MOVED_HINT)),
        false => Ok(()),
    }
}

/// Whether the error may come of the sandbox: the module loads no library, reads no configuration, sees no token.
fn may_miss_files(configuration: &Configuration, error: &hsm::OpenError) -> bool {
    let of_files = matches!(
        error,
        hsm::OpenError::Token(_)
            | hsm::OpenError::TokenNotFound { .. }
            | hsm::OpenError::ModuleMissing { .. }
    );
    of_files && profile(configuration) == Profile::Network
}

/// The file of the store. What can be wrong with it is said before the token is asked.
pub(in crate::cli) fn store_file(
    configuration: &Configuration,
    runtime: &Runtime,
) -> Result<SqliteFile, CliError> {
    let path = configuration.data.store();
    // With a store in place the restore was complete. A later one must not take this installation for its own.
    let journal = configuration.data.directory.join(JOURNAL);
    if path.exists() && journal.exists() {
        std::fs::remove_file(&journal)
            .map_err(|error| CliError::context(format!("cannot remove {}", journal.display()), &error))?;
    }
    // So was the init.
    let journal = configuration.data.directory.join(INIT_JOURNAL);
    if path.exists() {
        forget(&journal)
            .map_err(|error| CliError::context(format!("cannot remove {}", journal.display()), &error))?;
    }
    runtime.block_on(SqliteFile::open(&path)).map_err(|error| {
        let failed = explain_missing(configuration, store_error(configuration, &error));
        // As for a forged row, the log tells when it was found.
        match error
            .is_tampering()
            .then(|| AuditLog::open(audit_settings(configuration), boot(configuration, None)))
        {
            Some(Ok((audit, _))) => refused(configuration, runtime, &audit, &error),
            Some(Err(_)) | None => failed,
        }
    })
}

pub(in crate::cli) fn boot(configuration: &Configuration, installation: Option<InstallationId>) -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_digest: configuration.digest,
        installation: installation.map(|id| id.to_string()),
    }
}

/// For commands that only record something: no key, no access token.
fn empty_store(runtime: &Runtime, key: StoreKey) -> Result<Store, CliError> {
    let opened = SqliteBackend::in_memory(Arc::new(key))
        .and_then(|backend| runtime.block_on(Store::over(Box::new(backend))));
    opened.map_err(|error| CliError::context("cannot open a store in memory", &error))
}

/// A store that this service did not write: recorded, so that the log tells when it was found.
fn refused(configuration: &Configuration, runtime: &Runtime, log: &AuditLog, error: &StoreError) -> CliError {
    let failed = store_error(configuration, error);
    if error.is_tampering() {
        let event = Event {
            operation: STORE_REFUSED.name,
            actor: Actor::service(),
            request: None,
            key: None,
            input: Some(Input::Fields(vec![("finding", Value::Text(error.to_string()))])),
            code: "store_refused",
        };
        if let Err(error) = runtime.block_on(log.note_durable(event)) {
            tracing::error!(%error, "the refusal of the store was not recorded");
        }
        if let Err(error) = log.clone().close() {
            tracing::error!(%error, "the audit log was not closed");
        }
    }
    failed
}

fn store_error(configuration: &Configuration, error: &StoreError) -> CliError {
    CliError::context(format!("cannot open the store {}", configuration.data.store().display()), error)
}

/// The node of `[chain]`, if one is configured.
fn chain(configuration: &Configuration) -> Result<Option<RpcClient>, CliError> {
    let settings = &configuration.chain;
    let Some(url) = &settings.rpc_url else { return Ok(None) };
    let endpoint = url.parse().map_err(|error| CliError::usage(format!("chain.rpc_url: {error}")))?;
    let outbound = Outbound::new(settings.timeout)
        .map_err(|error| CliError::context("cannot call the node of chain.rpc_url", &error))?;
    Ok(Some(RpcClient::new(endpoint, outbound)))
}

/// The rules of logins. `serve` has filled in the URL where none is configured.
fn login_rules(
    configuration: &Configuration,
    installation: InstallationId,
    chain: Option<RpcClient>,
) -> Result<LoginRules, CliError> {
    let auth = &configuration.auth;
    let listening = format!("http://{}", configuration.server.listen);
    let url = auth.public_url.as_ref().unwrap_or(&listening);
    let audience = Audience::new(url, auth.chain_id, installation)
        .map_err(|error| CliError::usage(format!("auth.public_url: {error}")))?;
    let eoas = |setting: &str, texts: &[String]| -> Result<Vec<Eoa>, CliError> {
        let wrong = |text, error| CliError::usage(format!("{setting}: {text}: {error}"));
        texts.iter().map(|text| text.parse().map_err(|error: AddressError| wrong(text, error))).collect()
    };
    let operators = match auth.allowed_operators.as_slice() {
        [] => AllowedOperators::None,
        [all] if all == "*" => AllowedOperators::All,
        listed => AllowedOperators::Listed(eoas("auth.allowed_operators", listed)?),
    };
    Ok(LoginRules {
        audience,
        usual_life: auth.access_token_ttl,
        longest_life: auth.max_access_token_ttl,
        operators,
        contract_wallets: eoas("auth.contract_wallets", &auth.contract_wallets)?,
        chain,
    })
}

pub(in crate::cli) fn audit_settings(configuration: &Configuration) -> audit_log::Settings {
    let audit = &configuration.audit;
    audit_log::Settings { segment_bytes: audit.segment_bytes, ..audit_log::Settings::new(&audit.directory) }
}
