//! Objects: generate, create, copy, find, read, destroy. Only public bytes pass here; a secret value is never read.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};

use super::error::{Function, TokenError};
use super::session::Session;

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
        self.call(Function::FindObjects, |library, session| library.find(session, template, limit))
    }

    /// Reads public attributes. One that the object lacks, or that the module hides, is left out.
    pub(crate) fn read(
        &self,
        object: ObjectHandle,
        attributes: &[AttributeType],
    ) -> Result<Vec<Attribute>, TokenError> {
        self.call(Function::GetAttributeValue, |library, session| library.read(session, object, attributes))
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
        self.call(Function::GetAttributeValue, |library, session| library.hides(session, object, kind))
    }

    /// C_GenerateKey.
    pub(crate) fn generate_key(
        &self,
        mechanism: &Mechanism<'_>,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        self.call(Function::GenerateKey, |library, session| {
            library.generate_key(session, mechanism, template)
        })
    }

    /// C_CreateObject.
    pub(crate) fn create(&self, template: &[Attribute]) -> Result<ObjectHandle, TokenError> {
        self.call(Function::CreateObject, |library, session| library.create(session, template))
    }

    /// C_CopyObject with the changes of `template`.
    pub(crate) fn copy(
        &self,
        object: ObjectHandle,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        self.call(Function::CopyObject, |library, session| library.copy(session, object, template))
    }

    /// C_DestroyObject.
    pub(crate) fn destroy(&self, object: ObjectHandle) -> Result<(), TokenError> {
        self.call(Function::DestroyObject, |library, session| library.destroy(session, object))
    }
}

/// A number without the zeros in front, which some tokens put there.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
