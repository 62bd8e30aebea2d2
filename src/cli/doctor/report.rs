//! The report of `doctor`: reading, completing and printing it.

use serde_json::{Value, json};

use super::examination::check;
use crate::cli::output::{Output, list, member};

/// Whether no check failed that the service needs.
pub(super) fn is_fit(report: &Value) -> bool {
    list(report, "checks").iter().all(|check| check["passed"] == true || check["fatal"] != true)
}

/// What the failed checks found.
pub(super) fn failed_checks(report: &Value) -> Vec<String> {
    let failed = list(report, "checks").iter().filter(|check| check["passed"] != true);
    failed.map(|check| format!("{}: {}", member(check, "/what"), member(check, "/found"))).collect()
}

/// Adds checks at the end.
pub(super) fn add(report: &mut Value, checks: &[hsm::DiagnosticCheck]) {
    if let Some(all) = report.get_mut("checks").and_then(Value::as_array_mut) {
        all.extend(checks.iter().map(check));
    }
}

pub(super) fn print(report: &mut Value, output: Output) {
    let fit = is_fit(report);
    if let Some(members) = report.as_object_mut() {
        members.insert("fit".to_owned(), json!(fit));
    }
    let report = &*report;
    output.print(report, || lines(report, fit).join("\n"));
}

fn lines(report: &Value, fit: bool) -> Vec<String> {
    let text = |name: &str| member(report, &format!("/{name}"));
    let mut lines = vec![
        format!("module   {}", text("library")),
        format!(
            "token    {} (serial {}), user PIN {}",
            text("token_label"),
            text("token_serial"),
            text("pin")
        ),
        format!("sessions {}", text("sessions")),
        match report["scheme"].is_null() {
            false => format!("scheme   {}, {}", text("scheme"), text("variant")),
            true => "scheme   none".to_owned(),
        },
    ];
    let place = if report["location"] == "store" { "store" } else { "token" };
    if report["initialised"] == true {
        lines.push(format!(
            "records  {} keys in the {place}, {} incomplete, {} of other applications",
            text("keys"),
            text("incomplete"),
            text("foreign")
        ));
    }
    lines.extend(list(report, "checks").iter().map(|check| {
        let mark = match (check["passed"] == true, check["fatal"] == true) {
            (true, _) => "ok  ",
            (false, false) => "WARN",
            (false, true) => "FAIL",
        };
        format!("{mark}     {}: {}", member(check, "/what"), member(check, "/found"))
    }));
    lines.push(match (fit, report["initialised"] == true) {
        (true, true) => "verdict  fit".to_owned(),
        (false, true) => "verdict  not fit: see FAIL".to_owned(),
        (true, false) => format!(
            "verdict  fit for `avs-kms init`: it would choose scheme {}/{}, wrapped records in the {place}, checkpoint \
             key {}",
            text("scheme"),
            text("variant"),
            text("checkpoint_key")
        ),
        (false, false) => "verdict  not fit for `avs-kms init`: see FAIL".to_owned(),
    });
    lines
}
