//! E0277: a record cannot be copied to be used again.

use audit_log::Recorded;
use avs_kms::service::PreparedSignature;

fn copied<T: Clone>() {}

pub fn copy() {
    copied::<Recorded<PreparedSignature>>();
}
