//! due to private fields: A `Recorded` cannot be made by hand: only the audit log mints one, when the intent is durable.

pub fn forge(ready: avs_kms::service::PreparedSignature) -> audit_log::Recorded<avs_kms::service::PreparedSignature> {
    audit_log::Recorded { subject: ready }
}
