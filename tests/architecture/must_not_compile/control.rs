//! compiles: one record, one multiplication. If this did not compile, the others would prove nothing.

use audit_log::Recorded;
use avs_kms::service::{Custody, PreparedSignature};

pub async fn once(custody: &Custody, recorded: Recorded<PreparedSignature>) {
    let _ = custody.multiply(recorded, std::time::Instant::now()).await;
}
