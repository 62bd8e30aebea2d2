//! compiles: one record, one multiplication. If this did not compile, the others would prove nothing.

use audit_log::Recorded;
use avs_kms::service::{Custody, Ready};

pub async fn once(custody: &Custody, recorded: Recorded<Ready>) {
    let _ = custody.multiply(recorded, std::time::Instant::now()).await;
}
