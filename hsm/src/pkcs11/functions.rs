//! The module's functions on a session that carry no secret: objects, key pairs, signatures over public text. Not for
//! PINs, ciphers and random bytes: `secret`.
#![allow(unsafe_code)] // the foreign function interface

use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::{SessionInfo, SessionState};
use cryptoki::slot::Slot;
use cryptoki_sys::*;

use super::error::{Function, TokenError};
use super::library::{Library, checked, checked_length};

/// Handles asked for in one call of C_FindObjects.
const BATCH: usize = 256;
/// No attribute that is read here is longer.
const LONGEST_VALUE: usize = 1 << 16;

impl Library {
    /// C_OpenSession, read-write.
    pub(super) fn open_session(&self, slot: Slot) -> Result<CK_SESSION_HANDLE, TokenError> {
        let (flags, mut session) = (CKF_SERIAL_SESSION | CKF_RW_SESSION, 0);
        let open = self.list.C_OpenSession;
        // SAFETY: no callback, so no data for one; `session` outlives the call.
        let rv = open.map(|f| unsafe { f(slot.into(), flags, std::ptr::null_mut(), None, &raw mut session) });
        checked(Function::OpenSession, rv)?;
        Ok(session)
    }

    /// C_CloseSession.
    pub(super) fn close_session(&self, session: CK_SESSION_HANDLE) -> Result<(), TokenError> {
        // SAFETY: plain values.
        checked(Function::CloseSession, self.list.C_CloseSession.map(|f| unsafe { f(session) }))
    }

    /// C_GetSessionInfo.
    pub(super) fn session_state(&self, session: CK_SESSION_HANDLE) -> Result<SessionState, TokenError> {
        let mut info = CK_SESSION_INFO::default();
        // SAFETY: the module fills the structure, which outlives the call.
        let rv = self.list.C_GetSessionInfo.map(|f| unsafe { f(session, &raw mut info) });
        checked(Function::GetSessionInfo, rv)?;
        let info = SessionInfo::try_from(info);
        Ok(info.map_err(|_| TokenError::nonstandard(Function::GetSessionInfo))?.session_state())
    }

    /// C_Logout.
    pub(super) fn logout(&self, session: CK_SESSION_HANDLE) -> Result<(), TokenError> {
        // SAFETY: plain values.
        checked(Function::Logout, self.list.C_Logout.map(|f| unsafe { f(session) }))
    }

    /// At most `limit` objects that have all of `template`. The search is ended on every path.
    pub(super) fn find(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[Attribute],
        limit: usize,
    ) -> Result<Vec<ObjectHandle>, TokenError> {
        let mut template = raw(template);
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        // SAFETY: the module only reads the template, which outlives the call.
        let rv = self.list.C_FindObjectsInit.map(|f| unsafe { f(session, first, count) });
        checked(Function::FindObjectsInit, rv)?;
        let found = self.found(session, limit);
        // SAFETY: plain values.
        let ended = self.list.C_FindObjectsFinal.map(|f| unsafe { f(session) });
        if let Err(error) = checked(Function::FindObjectsFinal, ended) {
            tracing::debug!(%error, "a search did not end");
        }
        found
    }

    fn found(&self, session: CK_SESSION_HANDLE, limit: usize) -> Result<Vec<ObjectHandle>, TokenError> {
        let mut found = Vec::new();
        while found.len() < limit {
            let (mut batch, mut count) = ([0; BATCH], 0);
            let (first, size) = (batch.as_mut_ptr(), BATCH as CK_ULONG);
            // SAFETY: the module writes at most `size` handles, and all of it outlives the call.
            let rv = self.list.C_FindObjects.map(|f| unsafe { f(session, first, size, &raw mut count) });
            checked(Function::FindObjects, rv)?;
            let count = checked_length(Function::FindObjects, count, BATCH)?;
            found.extend(batch.iter().take(count).map(|number| handle(*number)));
            if count < BATCH {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// C_GetAttributeValue. An attribute that the object lacks, or that the module hides, is left out.
    pub(super) fn read(
        &self,
        session: CK_SESSION_HANDLE,
        object: ObjectHandle,
        kinds: &[AttributeType],
    ) -> Result<Vec<Attribute>, TokenError> {
        // A text has no length that is known before: the first call asks for it.
        let empty =
            |kind: &AttributeType| Value { kind: *kind, bytes: vec![0; kind.fixed_size().unwrap_or(0)] };
        let mut values: Vec<_> = kinds.iter().map(empty).collect();
        for _ in 0..2 {
            if self.fill(session, object, &mut values)? {
                return values.iter_mut().map(Value::attribute).collect();
            }
        }
        Err(TokenError::protocol_violation(Function::GetAttributeValue, "a value grows with each call"))
    }

    /// Reads into the buffers, and drops those whose attribute is not shown. False where a buffer was too short: it has
    /// the right length then, and nothing else.
    fn fill(
        &self,
        session: CK_SESSION_HANDLE,
        object: ObjectHandle,
        values: &mut Vec<Value>,
    ) -> Result<bool, TokenError> {
        let mut template: Vec<_> = values.iter_mut().map(Value::raw).collect();
        self.attributes(session, object, &mut template)?;
        let mut lengths = template.iter().map(|attribute| attribute.ulValueLen);
        let (mut kept, mut is_complete) = (Vec::new(), true);
        for mut value in values.drain(..) {
            let Some(length) = lengths.next().filter(|length| *length != CK_UNAVAILABLE_INFORMATION) else {
                continue;
            };
            let length = checked_length(Function::GetAttributeValue, length, LONGEST_VALUE)?;
            is_complete &= length <= value.bytes.len();
            value.bytes.resize(length, 0);
            kept.push(value);
        }
        *values = kept;
        Ok(is_complete)
    }

    /// Whether the module refuses to show an attribute. Asks for its length only; tpm2-pkcs11 gives 0 for what it hides.
    pub(super) fn hides(
        &self,
        session: CK_SESSION_HANDLE,
        object: ObjectHandle,
        kind: AttributeType,
    ) -> Result<bool, TokenError> {
        let mut template = [CK_ATTRIBUTE { type_: kind.into(), pValue: std::ptr::null_mut(), ulValueLen: 0 }];
        let refused = self.attributes(session, object, &mut template)?;
        let is_hidden = |length| length == 0 || length == CK_UNAVAILABLE_INFORMATION;
        Ok(refused || template.iter().all(|attribute| is_hidden(attribute.ulValueLen)))
    }

    /// Whether the module refused one of them. It has filled the others, and says so by their lengths.
    fn attributes(
        &self,
        session: CK_SESSION_HANDLE,
        object: ObjectHandle,
        template: &mut [CK_ATTRIBUTE],
    ) -> Result<bool, TokenError> {
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        // SAFETY: each attribute has null or a buffer of its length, and the callers keep the buffers.
        let rv = self.list.C_GetAttributeValue.map(|f| unsafe { f(session, object.handle(), first, count) });
        match checked(Function::GetAttributeValue, rv) {
            Ok(()) => Ok(false),
            Err(error) => match error.code() {
                Some(RvError::AttributeSensitive | RvError::AttributeTypeInvalid) => Ok(true),
                // Of one buffer alone: the others are filled.
                Some(RvError::BufferTooSmall) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// C_GenerateKey.
    pub(super) fn generate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism<'_>,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        let (mut mechanism, mut template, mut key) = (mechanism.into(), raw(template), 0);
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let generate = self.list.C_GenerateKey;
        // SAFETY: the module reads mechanism and template and writes the handle; all outlive the call.
        let rv = generate.map(|f| unsafe { f(session, &raw mut mechanism, first, count, &raw mut key) });
        checked(Function::GenerateKey, rv)?;
        Ok(handle(key))
    }

    /// C_GenerateKeyPair; gives the public and the private key.
    pub(super) fn generate_key_pair(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism<'_>,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<(ObjectHandle, ObjectHandle), TokenError> {
        let (mut mechanism, mut public, mut private) = (mechanism.into(), raw(public), raw(private));
        let (first, count) = (public.as_mut_ptr(), public.len() as CK_ULONG);
        let (other_first, other_count) = (private.as_mut_ptr(), private.len() as CK_ULONG);
        let mut pair = (0, 0);
        let (one, other) = (&raw mut pair.0, &raw mut pair.1);
        let rv = self.list.C_GenerateKeyPair.map(|f| {
            // SAFETY: the module reads mechanism and templates and writes the handles; all outlive the call.
            unsafe { f(session, &raw mut mechanism, first, count, other_first, other_count, one, other) }
        });
        checked(Function::GenerateKeyPair, rv)?;
        Ok((handle(pair.0), handle(pair.1)))
    }

    /// C_CreateObject.
    pub(super) fn create(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        let (mut template, mut object) = (raw(template), 0);
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        // SAFETY: the module reads the template and writes the handle; both outlive the call.
        let rv = self.list.C_CreateObject.map(|f| unsafe { f(session, first, count, &raw mut object) });
        checked(Function::CreateObject, rv)?;
        Ok(handle(object))
    }

    /// C_CopyObject with the changes of `template`.
    pub(super) fn copy(
        &self,
        session: CK_SESSION_HANDLE,
        object: ObjectHandle,
        template: &[Attribute],
    ) -> Result<ObjectHandle, TokenError> {
        let (mut template, mut copy) = (raw(template), 0);
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let rv = self.list.C_CopyObject.map(|f| {
            // SAFETY: the module reads the template and writes the handle; both outlive the call.
            unsafe { f(session, object.handle(), first, count, &raw mut copy) }
        });
        checked(Function::CopyObject, rv)?;
        Ok(handle(copy))
    }

    /// C_DestroyObject.
    pub(super) fn destroy(&self, session: CK_SESSION_HANDLE, object: ObjectHandle) -> Result<(), TokenError> {
        // SAFETY: plain values.
        let rv = self.list.C_DestroyObject.map(|f| unsafe { f(session, object.handle()) });
        checked(Function::DestroyObject, rv)
    }
}

/// An attribute to be read.
struct Value {
    kind: AttributeType,
    bytes: Vec<u8>,
}

impl Value {
    /// As the module takes it: an empty buffer asks for the length.
    fn raw(&mut self) -> CK_ATTRIBUTE {
        let buffer = if self.bytes.is_empty() { std::ptr::null_mut() } else { self.bytes.as_mut_ptr() };
        CK_ATTRIBUTE {
            type_: self.kind.into(),
            pValue: buffer.cast(),
            ulValueLen: self.bytes.len() as CK_ULONG,
        }
    }

    fn attribute(&mut self) -> Result<Attribute, TokenError> {
        Attribute::try_from(self.raw()).map_err(|_| TokenError::nonstandard(Function::GetAttributeValue))
    }
}

/// As the module takes a template. It points into the attributes.
fn raw(template: &[Attribute]) -> Vec<CK_ATTRIBUTE> {
    template.iter().map(CK_ATTRIBUTE::from).collect()
}

/// What the module calls an object.
fn handle(number: CK_OBJECT_HANDLE) -> ObjectHandle {
    // SAFETY: a number; the module refuses one that it does not know.
    unsafe { ObjectHandle::new_from_raw(number) }
}
