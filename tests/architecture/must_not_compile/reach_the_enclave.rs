//! E0616: custody keeps the enclave to itself.

pub fn reach(custody: &avs_kms::service::Custody) {
    let _ = &custody.enclave;
}
