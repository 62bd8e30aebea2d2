//! Custody keeps the enclave to itself.

fn reach(custody: &avs_kms::operation::Custody) -> &Option<hsm::Enclave> {
    &custody.enclave
}

fn main() {}
