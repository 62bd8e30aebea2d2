//! A bearer token has no text form but the one that is asked for by name, and no copy.

fn print(token: &avs_kms::auth::BearerToken) -> String {
    let copy: avs_kms::auth::BearerToken = token.clone();
    format!("{copy}")
}

fn main() {}
