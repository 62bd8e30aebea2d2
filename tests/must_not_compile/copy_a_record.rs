//! A record cannot be copied to be used again.

fn copy(recorded: &avs_kms::audit::Recorded<avs_kms::operation::Ready>) -> avs_kms::audit::Recorded<avs_kms::operation::Ready> {
    recorded.clone()
}

fn main() {}
