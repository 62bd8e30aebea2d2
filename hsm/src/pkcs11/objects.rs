//! Objects: generate, create, copy, find, read, destroy. Only public bytes pass here; a secret value is never read.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectHandle};

use super::error::{Function, TokenError};
use super::session::Session;

/// Handles asked for in one call of C_FindObjects.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

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
