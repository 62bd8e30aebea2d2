//! `[log]` and `[telemetry]`.

use super::Reader;

/// `[log]`: what goes to standard error.
#[derive(Debug)]
pub struct Log {
    /// For people or for programs.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `avs_kms=debug`.
    pub level: String,
}

/// `[telemetry]`: spans for a collector.
#[derive(Debug)]
pub struct Telemetry {
    /// Where spans go, OTLP over HTTP; empty for nowhere. It may hold an API key: not for logs.
    pub otlp_endpoint: String,
    /// Which part of the requests has a span, 0 to 1.
    pub otlp_sample_ratio: f64,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

/// Takes both sections.
pub(super) fn read(reader: &mut Reader) -> (Log, Telemetry) {
    let log = Log {
        format: reader.choice("log.format", "text", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        level: reader.text("log.level", "info"),
    };
    if log.level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        reader.mistake("log.level", "not a level or filter such as info or avs_kms=debug");
    }
    let telemetry = Telemetry {
        otlp_endpoint: reader.url("telemetry.otlp_endpoint"),
        otlp_sample_ratio: reader.value("telemetry.otlp_sample_ratio", "1", "a number from 0 to 1"),
    };
    if !(0.0..=1.0).contains(&telemetry.otlp_sample_ratio) {
        reader.mistake("telemetry.otlp_sample_ratio", "a number from 0 to 1");
    }
    (log, telemetry)
}
