//! Bound on each call of the PKCS#11 module while a command starts, from loading the module to the open enclave.
//!
//! A module that hangs there would hold the command for ever, without a word. Later the enclave's watchdog watches.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::cli::error::CliError;
use crate::cli::exit::ExitStatus;
use crate::config::Configuration;

/// A call that lasts for more than this many stalls never returns. A slow device makes an RSA pair in less.
const PATIENCE: u32 = 30;
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Watches until it is dropped.
pub(in crate::cli) struct CallWatch(#[expect(dead_code, reason = "dropping it ends the thread")] Sender<()>);

impl CallWatch {
    /// Ends the process after `tell` got the sentence, once a call hangs: nothing else can end such a call.
    pub(in crate::cli) fn begin(
        configuration: &Configuration,
        tell: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, CliError> {
        let limit = PATIENCE * configuration.enclave.stall_timeout;
        let (sender, ended) = mpsc::channel();
        hsm::watch_calls(true);
        let watch = move || {
            while ended.recv_timeout(INTERVAL.min(limit)) == Err(RecvTimeoutError::Timeout) {
                if let Some((function, lasted)) = hsm::call_in_progress()
                    && lasted >= limit
                {
                    tell(&format!(
                        "the PKCS#11 module has not returned from {function} for {limit:?}, {PATIENCE} times \
                         enclave.stall_timeout: check the HSM, its network and the vendor's daemon, and start again"
                    ));
                    hsm::end_process(ExitStatus::Failed.code());
                }
            }
        };
        std::thread::Builder::new()
            .name("start-watch".to_owned())
            .spawn(watch)
            .map_err(|error| CliError::context("cannot start a thread", &error))?;
        Ok(Self(sender))
    }
}

impl Drop for CallWatch {
    fn drop(&mut self) {
        hsm::watch_calls(false);
    }
}
