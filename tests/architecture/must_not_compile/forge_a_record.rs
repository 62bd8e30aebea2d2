//! due to private fields: A `Recorded` cannot be made by hand: only the audit log mints one, when the intent is durable.

pub fn forge(ready: avs_kms::service::Ready) -> avs_kms::audit::Recorded<avs_kms::service::Ready> {
    avs_kms::audit::Recorded { subject: ready }
}
