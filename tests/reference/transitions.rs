//! The reference page of the transitions of a version.

use avs_kms::key::{Authority, TRANSITIONS, TransitionRule, Undo};

const PAGE: &str = "\
# Transitions

<!-- Generated from src/key/transition_table.rs by tests/reference.rs. Do not edit. -->

Each change of the state of a version: the least that its caller must show, and how it is undone.
The test `lifecycle/transitions` carries out every row, by each kind of caller, and undoes it.

- `access token`: an access token with `keys:rotate`, a signed request, or the host's command line.
- `signed request`: a signed request of the EOA or the host's command line. No access token is
  enough, whatever its scopes.
- `service`: the service alone, at the date that a signed request has set.

What cannot be undone always takes the signature of the EOA. A stolen access token can replace,
retire and disable versions; the EOA takes each of these back.

| action | from | to | by | undone by |
|---|---|---|---|---|
";

const NOTES: &str = "
- `activate` of a retiring version goes back to it. The version that it replaces becomes `pending`,
  or `retiring` if a registry has held it or another version is pending.
- `retire` and `disable` of a pending, retiring or disabled version can come in any order: `unretire`
  and `enable` bring back what was there before. An unretired version is not retired by a schedule.
- `rotate` adds a pending version; `destroy` removes one that is not needed.
- The current version is never retired or destroyed, so a key always has one.
";

pub(crate) fn page() -> String {
    let rows: String = TRANSITIONS.iter().map(row).collect();
    format!("{PAGE}{rows}{NOTES}")
}

fn row(rule: &TransitionRule) -> String {
    let by = match rule.by {
        Authority::AccessToken => "access token",
        Authority::SignedRequest => "signed request",
        Authority::Service => "service",
    };
    let undone_by = match rule.undone_by {
        Undo::Same(action) => format!("`{}`", action.as_str()),
        Undo::ActivatePrevious => "`activate` of the version before".to_owned(),
        Undo::Impossible => "nothing".to_owned(),
    };
    let to: Vec<_> = rule.to.iter().map(|state| format!("`{}`", state.as_str())).collect();
    let (action, from) = (rule.action.as_str(), rule.from.as_str());
    format!("| `{action}` | `{from}` | {} | {by} | {undone_by} |\n", to.join(", "))
}
