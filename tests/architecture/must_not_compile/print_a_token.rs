//! E0277: a bearer token has no text form but the one that is asked for by name, no copy and no JSON.

use avs_kms::auth::AccessToken;

fn copied<T: Clone>() {}
fn shown<T: std::fmt::Display>() {}

pub fn leak() {
    copied::<AccessToken>();
    shown::<AccessToken>();
}
