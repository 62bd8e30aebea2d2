//! The reference page of the return codes of PKCS#11.

use std::fmt::Write as _;

pub(crate) fn page() -> String {
    let mut page = "\
# Return codes of PKCS#11

<!-- Generated from hsm/src/pkcs11/advice.rs by tests/reference.rs. Do not edit. -->

What a module answers, in words. The service's log and the messages of the commands name the code; what
the service does by itself is in the [runbook](../operations/runbook.md#503-hsm_unavailable).

| code | what happened | what to do |
|---|---|---|
"
    .to_owned();
    for (name, hsm::Advice { cause, cure }) in hsm::return_codes() {
        let _ = writeln!(page, "| {name} | {cause} | {cure} |");
    }
    page
}
