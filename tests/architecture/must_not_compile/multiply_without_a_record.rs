//! E0308: An operation that was allowed but not recorded does not reach the enclave.

pub async fn multiply(custody: &avs_kms::service::Custody, ready: avs_kms::service::PreparedSignature) {
    let _ = custody.multiply(ready, std::time::Instant::now()).await;
}
