//! `Allowed` comes from the authorisation alone.

use avs_kms::operation::{Allowed, Context, ScalarMul};

fn forge(context: Context, operation: ScalarMul) -> Allowed<ScalarMul> {
    Allowed { context, operation }
}

fn main() {}
