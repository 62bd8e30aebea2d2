//! The engine of `txtx run --unsupervised`, without the EVM addon (which is not to be had from crates.io): what of a
//! runbook talks HTTP runs here as an operator would run it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use txtx_addon_kit::Addon;
use txtx_addon_kit::channel::unbounded;
use txtx_addon_kit::helpers::fs::FileLocation;
use txtx_addon_kit::types::AuthorizationContext;
use txtx_addon_kit::types::cloud_interface::CloudServiceContext;
use txtx_addon_kit::types::diagnostics::Diagnostic;
use txtx_core::manifest::WorkspaceManifest;
use txtx_core::manifest::file::read_runbook_from_location;
use txtx_core::std::StdAddon;

/// How many runbooks this process has run.
pub static RUNS: AtomicU32 = AtomicU32::new(0);

/// Runs one runbook file; gives its outputs as `{"name": {"value": …}}`, or everything that it complained of.
///
/// # Errors
/// Where the engine stops: the text that its user sees.
pub async fn run(file: &Path, inputs: &[(&str, &str)]) -> Result<serde_json::Value, String> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    let location = FileLocation::from_path(file.to_path_buf());
    let (_, mut runbook, sources) = read_runbook_from_location(&location, &None, &None, None)?;
    // Without at least one environment the engine drops the inputs.
    let mut manifest = WorkspaceManifest::new("test".into());
    manifest.environments.insert("test".into(), Default::default());
    let inputs: Vec<_> = inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let inputs = manifest.get_runbook_inputs(&Some("test".into()), &inputs, None)?;
    runbook
        .build_contexts_from_sources(
            sources,
            inputs,
            AuthorizationContext::new(location),
            |namespace| (namespace == "std").then(|| Box::new(StdAddon::new()) as Box<dyn Addon>),
            CloudServiceContext::new(),
        )
        .await
        .map_err(shown)?;
    // Otherwise nothing runs, and no error is given.
    runbook.enable_full_execution_mode();
    let (events, seen) = unbounded();
    std::thread::spawn(move || while seen.recv().is_ok() {});
    txtx_core::start_unsupervised_runbook_runloop(&mut runbook, &events).await.map_err(shown)?;
    Ok(runbook.collect_formatted_outputs().to_json(&vec![]))
}

fn shown(diagnostics: Vec<Diagnostic>) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
