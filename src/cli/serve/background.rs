//! Background tasks of `serve`: scheduler, registry watcher, webhooks.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use trusted_files::Readers;

use crate::chain::RpcClient;
use crate::cli::error::CliError;
use crate::config::Configuration;
use crate::outbound::Outbound;
use crate::rotation::{RegistryWatcher, Scheduler, Secret, WebhookTarget, Webhooks};
use crate::service::Services;

/// Starts the tasks. Each ends when `stop` becomes true.
pub(in crate::cli) async fn start(
    configuration: &Configuration,
    services: &Arc<Services>,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, CliError> {
    let client = |timeout| {
        Outbound::new(timeout).map_err(|error| CliError::context("cannot make outgoing calls", &error))
    };
    let (chain, events) = (&configuration.chain, &configuration.events);
    let watcher = match &chain.rpc_url {
        None => None,
        Some(url) => {
            let endpoint = url.parse().map_err(|_| CliError::usage("chain.rpc_url is not a URL"))?;
            Some(RegistryWatcher::new(RpcClient::new(endpoint, client(chain.timeout)?)))
        }
    };
    let rotation = &configuration.rotation;
    let scheduler = Scheduler::new(Arc::clone(services), watcher).observing(rotation.observation_time);
    let mut tasks = vec![tokio::spawn(scheduler.run(rotation.check_interval, stop.clone()))];

    let (counted, mut stopped) = (Arc::clone(services), stop.clone());
    tasks.push(tokio::spawn(async move {
        tokio::select! {
            () = counted.record_counted_refusals() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }));

    let hooks = events.webhook_urls.iter().map(|url| WebhookTarget::new(url)).collect::<Result<Vec<_>, _>>();
    let hooks = hooks.map_err(|_| CliError::usage("events.webhook_urls: an element is not a URL"))?;
    match &events.webhook_secret_file {
        Some(file) if !hooks.is_empty() => {
            let (secret, client) = (secret_in(file)?, client(events.webhook_timeout)?);
            let webhooks =
                Webhooks::new((services.store().clone(), services.clock().clone()), hooks, secret, client)
                    .await
                    .map_err(|error| CliError::context("cannot store the webhooks", &error))?;
            tasks.push(tokio::spawn(webhooks.run(stop.clone())));
        }
        _ => services
            .store()
            .set_webhooks(Vec::new())
            .await
            .map_err(|error| CliError::context("cannot delete the webhooks", &error))?,
    }
    Ok(tasks)
}

/// The longest webhook secret, bytes.
const MAX_SECRET_BYTES: usize = 4096;

/// The webhook secret, from a file that only its owner can read. The line end is not part of it.
fn secret_in(path: &Path) -> Result<Secret, CliError> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        CliError::context(format!("cannot use the webhook secret {}", path.display()), error)
    };
    let mut bytes = vec![0; MAX_SECRET_BYTES];
    let length =
        trusted_files::read_secret(path, Readers::Owner, &mut bytes).map_err(|error| failed(&error))?;
    bytes.truncate(length);
    while bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.pop();
    }
    Secret::new(bytes).map_err(|error| failed(&error))
}
