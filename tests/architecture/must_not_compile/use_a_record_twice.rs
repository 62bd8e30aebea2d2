//! E0382: One record, one multiplication.

use audit_log::Recorded;
use avs_kms::service::{Custody, PreparedSignature};

pub async fn twice(custody: &Custody, recorded: Recorded<PreparedSignature>) {
    let _ = custody.multiply(recorded, std::time::Instant::now()).await;
    let _ = custody.multiply(recorded, std::time::Instant::now()).await;
}
