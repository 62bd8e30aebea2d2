//! Objects: generate, create, copy, find, read, destroy. Only public bytes pass here; a secret value is never read.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectHandle};

use super::error::{Function, TokenError};
use super::session::Session;

/// Handles asked for in one call of C_FindObjects.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Length of the modulus of the RSA keys of this program, bytes: 3072 bits.
pub(crate) const RSA_LEN: usize = 384;
/// Their exponent: 65537.
pub(crate) const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// What a key shows of its RSA modulus.
#[expect(clippy::large_enum_variant, reason = "it lives for one match")]
pub(crate) enum RsaModulus {
    /// Big-endian; the exponent is [`RSA_EXPONENT`].
    Fit([u8; RSA_LEN]),
    /// Modulus or exponent is not shown.
    Hidden,
    /// It is of another length, or the exponent is another.
    Unfit(&'static str),
}

impl Session {
    /// Every object that has all of `template`, at most `limit`. The search is ended on every path.
    pub(crate) fn find(&self, template: &[Attribute], limit: usize) -> Result<Vec<ObjectHandle>, TokenError> {
        let search = || {
            self.call(Function::FindObjects, |session| {
                session.iter_objects_with_cache_size(template, BATCH)?.take(limit).collect()
            })
        };
        // `cryptoki` panics on a module that reports more handles than its buffer holds.
        catch_unwind(AssertUnwindSafe(search)).unwrap_or(Err(TokenError::protocol_violation(
            Function::FindObjects,
            "it reported more objects than the buffer holds",
        )))
    }

    /// Reads public attributes. One that the object lacks, or that the module hides, is left out.
    pub(crate) fn read(
        &self,
        object: ObjectHandle,
        attributes: &[AttributeType],
    ) -> Result<Vec<Attribute>, TokenError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads; its callers name public attributes"
        )]
        self.call(Function::GetAttributeValue, |session| session.get_attributes(object, attributes))
    }

    /// The modulus of an RSA key, which the standard has on both halves.
    pub(crate) fn rsa_modulus(&self, key: ObjectHandle) -> Result<RsaModulus, TokenError> {
        let read = |kind| Ok::<_, TokenError>(self.read(key, &[kind])?.pop());
        let (Some(Attribute::Modulus(modulus)), Some(Attribute::PublicExponent(exponent))) =
            (read(AttributeType::Modulus)?, read(AttributeType::PublicExponent)?)
        else {
            return Ok(RsaModulus::Hidden);
        };
        if without_zeros(&exponent) != RSA_EXPONENT {
            return Ok(RsaModulus::Unfit("its CKA_PUBLIC_EXPONENT must be 65537"));
        }
        Ok(match <[u8; RSA_LEN]>::try_from(without_zeros(&modulus)) {
            Ok(modulus @ [0x80..=0xff, .., last]) if last & 1 == 1 => RsaModulus::Fit(modulus),
            Ok(_) | Err(_) => RsaModulus::Unfit("its CKA_MODULUS must have 3072 bits"),
        })
    }

    /// Whether the module refuses to show an attribute. Asks for its length only, so no secret can come.
    pub(crate) fn hides(&self, object: ObjectHandle, kind: AttributeType) -> Result<bool, TokenError> {
        let info =
            self.call(Function::GetAttributeValue, |session| session.get_attribute_info(object, &[kind]))?;
        Ok(info.iter().all(|info| !matches!(info, AttributeInfo::Available(_))))
    }

    /// C_GenerateKey.
    pub(crate) fn generate_key(
        &self,
        mechanism: &Mechanism<'_>,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        self.call(Function::GenerateKey, |session| session.generate_key(mechanism, template))
    }

    /// C_CreateObject.
    pub(crate) fn create(&self, template: &[Attribute]) -> Result<ObjectHandle, TokenError> {
        self.call(Function::CreateObject, |session| session.create_object(template))
    }

    /// C_CopyObject with the changes of `template`.
    pub(crate) fn copy(
        &self,
        object: ObjectHandle,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        self.call(Function::CopyObject, |session| session.copy_object(object, template))
    }

    /// C_DestroyObject.
    pub(crate) fn destroy(&self, object: ObjectHandle) -> Result<(), TokenError> {
        self.call(Function::DestroyObject, |session| session.destroy_object(object))
    }
}

/// A number without the zeros in front, which some tokens put there.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
