//! `[log]` and `[telemetry]`.

use crate::config::kinds::{Choice, LOG_FILTER, Optional, RATIO, URL};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// The log of the service on standard error. No level shows a secret.
    ["log"]
    pub struct Log {
        /// `text` for people, `json` for programs: one object per line.
        format: LogFormat = "text", Choice(FORMATS);
        /// Least severe level that is logged, or a filter per module.
        level: String = "info", LOG_FILTER, reloads;
    }
}

section! {
    /// Traces for an OpenTelemetry collector. The image has this export; a build from source has it
    /// with the cargo feature `otlp`.
    ["telemetry"]
    pub struct Telemetry {
        /// URL that gets one span per admitted request (id, operation, path, code, time) by OTLP over
        /// HTTP, such as `http://127.0.0.1:4318/v1/traces`. Empty: none.
        otlp_endpoint: Option<String> = "", Optional(URL);
        /// Part of the requests that get a span.
        otlp_sample_ratio: f64 = "1", RATIO;
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

impl Telemetry {
    /// Refuses an export that this build does not have.
    pub(in crate::config) fn check(&self, reader: &mut Reader) {
        if self.otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            reader.error(
                "telemetry.otlp_endpoint",
                "this build cannot export spans: use the package or the image, or build with \
                 `cargo build --release --features otlp`",
            );
        }
    }
}
