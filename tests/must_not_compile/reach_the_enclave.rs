//! E0616: custody keeps the enclave to itself.

pub fn reach(custody: &avs_kms::operation::Custody) {
    let _ = &custody.enclave;
}
