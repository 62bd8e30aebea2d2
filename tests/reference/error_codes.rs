//! The reference page of the error codes: the table in `src/service/error_code.rs`.

use avs_kms::http::status;
use avs_kms::service::ErrorCode;

const PAGE: &str = "\
# Error codes

<!-- Generated from src/service/error_code.rs by tests/reference.rs. Do not edit. -->

Every error body is `{\"error\", \"code\", \"request_id\"}`, with `retry_after_ms` where a retry can help
and `field` where one member of the request is wrong. `error` is a sentence for people and may
change; `code` does not.

- 400: correct the request.
- 401 and 403: authenticate, or ask for more rights.
- 409: the state does not allow it.
- 429, 503 and 504: no signature left the service. Repeat the same request after `retry_after_ms`. After
  `audit_unavailable` and `deadline_exceeded` a change may have been made all the same: the repetition
  then has `\"changed\": false`.

| code | status | meaning |
|---|---|---|
";

pub(crate) fn page() -> String {
    let mut text = PAGE.to_owned();
    for code in ErrorCode::ALL {
        text += &format!("| `{}` | {} | {} |\n", code.as_str(), status(*code).as_u16(), code.meaning());
    }
    text
}
