//! Export of spans to an OpenTelemetry collector, OTLP over HTTP. Only with the cargo feature `otlp`.

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::cli::error::CliError;
use crate::config::Telemetry;
use crate::outbound::{Endpoint, Outbound};

/// Longest time of one delivery. What is not delivered is dropped; no request waits for it.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// The exporter of spans.
pub(in crate::cli) struct Spans(SdkTracerProvider);

impl Spans {
    /// The exporter of the configuration, if it names a collector. It starts a thread.
    pub(in crate::cli) fn start(telemetry: &Telemetry, runtime: &Handle) -> Result<Option<Self>, CliError> {
        let Some(url) = &telemetry.otlp_endpoint else { return Ok(None) };
        let failed = |error: &(dyn std::error::Error + 'static)| {
            CliError::context("cannot export to telemetry.otlp_endpoint", error)
        };
        let endpoint: Endpoint = url.parse().map_err(|error| failed(&error))?;
        let client = Outbound::new(TIMEOUT).map_err(|error| failed(&error))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { runtime: runtime.clone(), client, endpoint })
            // The sender uses its own endpoint; this one is only checked for its form.
            .with_endpoint(url)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| failed(&error))?;
        let resource = Resource::builder_empty()
            .with_service_name("avs-kms")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(Sampler::TraceIdRatioBased(telemetry.otlp_sample_ratio))
            .build();
        Ok(Some(Self(provider)))
    }

    /// The layer that exports the spans of requests. Spans of libraries and events are left out.
    pub(in crate::cli) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("avs_kms"));
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("avs-kms"))
            .with_location(false)
            .with_threads(false)
            .with_filter(ours)
    }

    /// Sends the last spans. Blocks.
    pub(in crate::cli) fn close(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Sends through the service's own client for outgoing calls, which is bounded, on its runtime.
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
            tracing::warn!(%error, "spans were not delivered and were dropped");
        })?;
        if !reply.is_success() {
            tracing::warn!(status = reply.status, "the collector refused spans, and they were dropped");
        }
        Ok(opentelemetry_http::Response::builder().status(reply.status).body(reply.body.into())?)
    }
}
