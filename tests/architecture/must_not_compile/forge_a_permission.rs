//! E0451: `Allowed` comes from the authorisation alone.

use avs_kms::service::{Allowed, Context, Sign};

pub fn forge(context: Context, operation: Sign) -> Allowed<Sign> {
    Allowed { context, operation }
}
