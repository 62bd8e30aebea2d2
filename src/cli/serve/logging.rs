//! What `serve` tells of itself while it runs: lines on standard error and, where it is configured, spans to an
//! OpenTelemetry collector.
//!
//! Not for: figures (`metrics`), and the audit log, which neither replaces.

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::cli::error::Failed;
use crate::config::{Configuration, LogFormat, Telemetry};
use crate::outbound::{Endpoint, Outbound};

/// The log of this process, from its start.
pub(in crate::cli) struct Logging {
    level: reload::Handle<EnvFilter, Registry>,
    spans: Option<SdkTracerProvider>,
}

impl Logging {
    /// Begins. Starts a thread where spans are sent, so it comes after the sandbox.
    pub(in crate::cli) fn start(configuration: &Configuration, runtime: &Handle) -> Result<Self, Failed> {
        let log = &configuration.log;
        let (level, handle) = reload::Layer::new(EnvFilter::new(&log.level));
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match log.format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Text => lines.with_ansi(false).boxed(),
        };
        let spans = provider(&configuration.telemetry, runtime)?;
        // Spans of requests alone: those of libraries are theirs, and events may be many.
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("avs_kms"));
        let exported = spans.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("avs-kms"))
                .with_location(false)
                .with_threads(false)
                .with_filter(ours)
        });
        tracing_subscriber::registry().with(lines.with_filter(level)).with(exported).init();
        Ok(Self { level: handle, spans })
    }

    /// Another level from now on; it was checked with the rest of the configuration.
    pub(in crate::cli) fn set_level(&self, level: &str) -> Result<(), reload::Error> {
        self.level.reload(EnvFilter::new(level))
    }

    /// Sends what is left. Blocks.
    pub(in crate::cli) fn close(self) {
        if let Some(Err(error)) = self.spans.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

fn provider(telemetry: &Telemetry, runtime: &Handle) -> Result<Option<SdkTracerProvider>, Failed> {
    if telemetry.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let failed = |error: &(dyn std::error::Error + 'static)| Failed::while_trying("cannot send spans", error);
    let endpoint: Endpoint = telemetry.otlp_endpoint.parse().map_err(|error| failed(&error))?;
    let client = Outbound::new(PATIENCE).map_err(|error| failed(&error))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender { runtime: runtime.clone(), client, endpoint })
        // The sender goes by its own; this one is only checked for its form.
        .with_endpoint(&telemetry.otlp_endpoint)
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| failed(&error))?;
    let resource = Resource::builder_empty()
        .with_service_name("avs-kms")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let sampler = Sampler::TraceIdRatioBased(telemetry.otlp_sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_sampler(sampler)
        .build();
    Ok(Some(provider))
}

/// How long one delivery may take; what is not delivered is dropped, and nothing waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Sends by the service's own client for outgoing calls, which is bounded, on the service's runtime.
#[derive(Debug)]
struct Sender {
    runtime: Handle,
    client: Outbound,
    endpoint: Endpoint,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: opentelemetry_http::Request<Bytes>,
    ) -> Result<opentelemetry_http::Response<Bytes>, HttpError> {
        let (client, endpoint) = (self.client.clone(), self.endpoint.clone());
        let body = request.into_body().to_vec();
        let call = async move { client.post(&endpoint, "application/x-protobuf", &[], body).await };
        let reply = self.runtime.spawn(call).await?.inspect_err(|error| {
            tracing::warn!(%error, "spans were not delivered and are gone");
        })?;
        if !reply.is_success() {
            tracing::warn!(status = reply.status, "spans were refused by the collector and are gone");
        }
        Ok(opentelemetry_http::Response::builder().status(reply.status).body(reply.body.into())?)
    }
}
