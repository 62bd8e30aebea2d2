//! Objects: make, copy, find, read, destroy. Only public bytes pass here; a secret value is never asked for.

use cryptoki_sys::*;

use super::error::Code;
use super::error::{Call, TokenError};
use super::session::Session;

/// Handle of an object, valid within the initialisation and login it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectHandle(pub(crate) CK_OBJECT_HANDLE);

/// One attribute of a template.
#[derive(Clone, Copy)]
pub(crate) enum Attribute<'a> {
    Flag(CK_ATTRIBUTE_TYPE, bool),
    Number(CK_ATTRIBUTE_TYPE, CK_ULONG),
    Bytes(CK_ATTRIBUTE_TYPE, &'a [u8]),
}

impl Attribute<'_> {
    pub(crate) fn raw(&self) -> CK_ATTRIBUTE {
        let (kind, pointer, length) = match self {
            Self::Flag(kind, flag) => (*kind, (&raw const *flag).cast::<u8>(), size_of::<CK_BBOOL>()),
            Self::Number(kind, number) => (*kind, (&raw const *number).cast::<u8>(), size_of::<CK_ULONG>()),
            Self::Bytes(kind, bytes) => (*kind, bytes.as_ptr(), bytes.len()),
        };
        CK_ATTRIBUTE { type_: kind, pValue: pointer.cast_mut().cast(), ulValueLen: length as CK_ULONG }
    }
}

/// One attribute to be read: where to, and how much came.
pub(crate) struct Request<'a> {
    pub(crate) kind: CK_ATTRIBUTE_TYPE,
    pub(crate) buffer: &'a mut [u8],
    /// Bytes written; none where the object lacks the attribute, hides it, or it does not fit.
    pub(crate) length: Option<usize>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(kind: CK_ATTRIBUTE_TYPE, buffer: &'a mut [u8]) -> Self {
        Self { kind, buffer, length: None }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.length.and_then(|length| self.buffer.get(..length))
    }
}

const READ_MAX: usize = 8;

impl Session {
    /// Every object that has all of `template`, at most `limit`.
    pub(crate) fn find(
        &self,
        template: &[Attribute<'_>],
        limit: usize,
    ) -> Result<Vec<ObjectHandle>, TokenError> {
        let mut raw: Vec<_> = template.iter().map(Attribute::raw).collect();
        self.call(Call::FindObjectsInit, |list, s| {
            // SAFETY: `raw` points into `template`; both outlive the call, and the module only reads them.
            Some(unsafe { list.C_FindObjectsInit?(s, raw.as_mut_ptr(), raw.len() as CK_ULONG) })
        })?;
        let mut found = Vec::new();
        while found.len() < limit {
            let mut batch = [0; 256];
            let mut count = 0;
            self.call(Call::FindObjects, |list, s| {
                let room = batch.len() as CK_ULONG;
                // SAFETY: `room` is the length of `batch`.
                Some(unsafe { list.C_FindObjects?(s, batch.as_mut_ptr(), room, &raw mut count) })
            })?;
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let hits = batch.get(..count).ok_or(lie(Call::FindObjects))?;
            if hits.is_empty() {
                break;
            }
            found.extend(hits.iter().map(|handle| ObjectHandle(*handle)));
        }
        // SAFETY: takes nothing but the handle.
        self.call(Call::FindObjectsFinal, |list, s| Some(unsafe { list.C_FindObjectsFinal?(s) }))?;
        found.truncate(limit);
        Ok(found)
    }

    /// Reads several attributes in one call, each into its own buffer.
    pub(crate) fn read(&self, object: ObjectHandle, requests: &mut [Request<'_>]) -> Result<(), TokenError> {
        let mut raw = [CK_ATTRIBUTE::default(); READ_MAX];
        for (raw, request) in raw.iter_mut().zip(requests.iter_mut()) {
            *raw = CK_ATTRIBUTE {
                type_: request.kind,
                pValue: request.buffer.as_mut_ptr().cast(),
                ulValueLen: request.buffer.len() as CK_ULONG,
            };
        }
        let count = requests.len().min(READ_MAX);
        let answer = self.call(Call::GetAttributeValue, |list, s| {
            // SAFETY: each entry names a buffer and its length; both outlive the call.
            Some(unsafe { list.C_GetAttributeValue?(s, object.0, raw.as_mut_ptr(), count as CK_ULONG) })
        });
        match answer {
            Ok(()) => {}
            // The standard fills in what it can and marks the rest; the lengths tell which.
            Err(TokenError {
                code: Code(CKR_ATTRIBUTE_TYPE_INVALID | CKR_ATTRIBUTE_SENSITIVE | CKR_BUFFER_TOO_SMALL),
                ..
            }) => {}
            Err(error) => return Err(error),
        }
        for (raw, request) in raw.iter().zip(requests.iter_mut()) {
            let length = usize::try_from(raw.ulValueLen).unwrap_or(usize::MAX);
            request.length = (length <= request.buffer.len()).then_some(length);
        }
        Ok(())
    }

    /// Whether the module refuses to show an attribute. Asks for its length only, so nothing secret can come.
    pub(crate) fn hides(&self, object: ObjectHandle, kind: CK_ATTRIBUTE_TYPE) -> Result<bool, TokenError> {
        let mut raw = CK_ATTRIBUTE { type_: kind, pValue: std::ptr::null_mut(), ulValueLen: 0 };
        let answer = self.call(Call::GetAttributeValue, |list, s| {
            // SAFETY: a null buffer asks for the length.
            Some(unsafe { list.C_GetAttributeValue?(s, object.0, &raw mut raw, 1) })
        });
        match answer {
            Ok(()) => Ok(raw.ulValueLen == CK_UNAVAILABLE_INFORMATION),
            Err(TokenError { code: Code(CKR_ATTRIBUTE_SENSITIVE | CKR_ATTRIBUTE_TYPE_INVALID), .. }) => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// C_GenerateKey with a mechanism that takes no parameter.
    pub(crate) fn generate_key(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        template: &[Attribute<'_>],
    ) -> Result<ObjectHandle, TokenError> {
        let mut raw: Vec<_> = template.iter().map(Attribute::raw).collect();
        let mut mechanism = CK_MECHANISM { mechanism, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
        let mut handle = 0;
        self.call(Call::GenerateKey, |list, s| {
            let (attributes, count) = (raw.as_mut_ptr(), raw.len() as CK_ULONG);
            // SAFETY: everything pointed to outlives the call.
            Some(unsafe { list.C_GenerateKey?(s, &raw mut mechanism, attributes, count, &raw mut handle) })
        })?;
        Ok(ObjectHandle(handle))
    }

    /// C_CreateObject.
    pub(crate) fn create(&self, template: &[Attribute<'_>]) -> Result<ObjectHandle, TokenError> {
        let mut raw: Vec<_> = template.iter().map(Attribute::raw).collect();
        let mut handle = 0;
        self.call(Call::CreateObject, |list, s| {
            let (attributes, count) = (raw.as_mut_ptr(), raw.len() as CK_ULONG);
            // SAFETY: everything pointed to outlives the call.
            Some(unsafe { list.C_CreateObject?(s, attributes, count, &raw mut handle) })
        })?;
        Ok(ObjectHandle(handle))
    }

    /// C_CopyObject with the changes of `template`.
    pub(crate) fn copy(
        &self,
        object: ObjectHandle,
        template: &[Attribute<'_>],
    ) -> Result<ObjectHandle, TokenError> {
        let mut raw: Vec<_> = template.iter().map(Attribute::raw).collect();
        let mut handle = 0;
        self.call(Call::CopyObject, |list, s| {
            let (attributes, count) = (raw.as_mut_ptr(), raw.len() as CK_ULONG);
            // SAFETY: everything pointed to outlives the call.
            Some(unsafe { list.C_CopyObject?(s, object.0, attributes, count, &raw mut handle) })
        })?;
        Ok(ObjectHandle(handle))
    }

    /// C_DestroyObject.
    pub(crate) fn destroy(&self, object: ObjectHandle) -> Result<(), TokenError> {
        // SAFETY: takes nothing but handles.
        self.call(Call::DestroyObject, |list, s| Some(unsafe { list.C_DestroyObject?(s, object.0) }))
    }
}

/// The module said something impossible.
pub(crate) fn lie(call: Call) -> TokenError {
    TokenError { call, code: Code(CKR_FUNCTION_FAILED) }
}
