//! Log of the service: lines on standard error and, where it is configured, spans for an
//! OpenTelemetry collector.
//!
//! Not for: metrics (`metrics`), and the audit log, which neither replaces.

use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

#[cfg(feature = "otlp")]
use super::telemetry;
use crate::cli::error::CliError;
use crate::config::{Configuration, LogFormat};

/// The log of this process.
pub(in crate::cli) struct Logging {
    level: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otlp")]
    spans: Option<telemetry::Spans>,
}

impl Logging {
    /// Starts the log. It starts a thread where spans are sent, so it comes after the sandbox.
    #[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "the runtime sends spans"))]
    pub(in crate::cli) fn start(configuration: &Configuration, runtime: &Handle) -> Result<Self, CliError> {
        let log = &configuration.log;
        let (level, handle) = reload::Layer::new(EnvFilter::new(&log.level));
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match log.format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Text => lines.with_ansi(false).boxed(),
        };
        let registry = tracing_subscriber::registry().with(lines.with_filter(level));
        #[cfg(feature = "otlp")]
        {
            let spans = telemetry::Spans::start(&configuration.telemetry, runtime)?;
            registry.with(spans.as_ref().map(telemetry::Spans::layer)).init();
            Ok(Self { level: handle, spans })
        }
        #[cfg(not(feature = "otlp"))]
        {
            registry.init();
            Ok(Self { level: handle })
        }
    }

    /// Sets the level. It was checked with the rest of the configuration.
    pub(in crate::cli) fn set_level(&self, level: &str) -> Result<(), reload::Error> {
        self.level.reload(EnvFilter::new(level))
    }

    /// Sends the last spans. Blocks.
    pub(in crate::cli) fn close(self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = self.spans {
            spans.close();
        }
    }
}
