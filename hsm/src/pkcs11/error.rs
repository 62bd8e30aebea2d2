//! Names of the module's functions and return codes. Not for what to do about them: that is `enclave::recovery`.

use std::fmt;

use cryptoki_sys::*;

/// A call into the module that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} answered {code}")]
pub struct TokenError {
    /// The function of the standard, e.g. `C_Decrypt`.
    pub call: Call,
    /// Its return code.
    pub code: Code,
}

/// A `CK_RV`, named where the standard names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u64);

macro_rules! calls {
    ($($name:ident $text:literal,)*) => {
        /// The functions of PKCS#11 that are used, by the standard's name without `C_`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the names are the standard's
        pub enum Call { $($name,)* }
        impl Call {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

calls! {
    Initialize "C_Initialize", Finalize "C_Finalize", GetInfo "C_GetInfo", GetSlotList "C_GetSlotList",
    GetTokenInfo "C_GetTokenInfo", GetMechanismInfo "C_GetMechanismInfo", InitToken "C_InitToken", InitPin "C_InitPIN",
    OpenSession "C_OpenSession", CloseSession "C_CloseSession", GetSessionInfo "C_GetSessionInfo",
    Login "C_Login", Logout "C_Logout", GenerateKey "C_GenerateKey", CreateObject "C_CreateObject",
    CopyObject "C_CopyObject", DestroyObject "C_DestroyObject", GetAttributeValue "C_GetAttributeValue",
    FindObjectsInit "C_FindObjectsInit", FindObjects "C_FindObjects", FindObjectsFinal "C_FindObjectsFinal",
    EncryptInit "C_EncryptInit", Encrypt "C_Encrypt", DecryptInit "C_DecryptInit", Decrypt "C_Decrypt",
    GenerateRandom "C_GenerateRandom", GenerateKeyPair "C_GenerateKeyPair", SignInit "C_SignInit", Sign "C_Sign",
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! codes {
    ($($name:ident)*) => {
        impl Code {
            fn name(self) -> Option<&'static str> {
                match self.0 { $($name => Some(stringify!($name)),)* _ => None }
            }
            #[cfg(test)]
            pub(crate) const NAMED: &[Self] = &[$(Self($name),)*];
        }
    };
}

codes! {
    CKR_OK CKR_CANCEL CKR_HOST_MEMORY CKR_SLOT_ID_INVALID CKR_GENERAL_ERROR CKR_FUNCTION_FAILED CKR_ARGUMENTS_BAD
    CKR_CANT_LOCK CKR_ATTRIBUTE_READ_ONLY CKR_ATTRIBUTE_SENSITIVE CKR_ATTRIBUTE_TYPE_INVALID CKR_ATTRIBUTE_VALUE_INVALID
    CKR_ACTION_PROHIBITED CKR_DATA_INVALID CKR_DATA_LEN_RANGE CKR_DEVICE_ERROR CKR_DEVICE_MEMORY CKR_DEVICE_REMOVED
    CKR_ENCRYPTED_DATA_INVALID CKR_ENCRYPTED_DATA_LEN_RANGE CKR_AEAD_DECRYPT_FAILED CKR_FUNCTION_CANCELED
    CKR_FUNCTION_NOT_SUPPORTED CKR_KEY_HANDLE_INVALID CKR_KEY_SIZE_RANGE CKR_KEY_TYPE_INCONSISTENT
    CKR_KEY_FUNCTION_NOT_PERMITTED CKR_MECHANISM_INVALID CKR_MECHANISM_PARAM_INVALID CKR_OBJECT_HANDLE_INVALID
    CKR_OPERATION_ACTIVE CKR_OPERATION_NOT_INITIALIZED CKR_PIN_INCORRECT CKR_PIN_INVALID CKR_PIN_LEN_RANGE
    CKR_PIN_EXPIRED CKR_PIN_LOCKED CKR_SESSION_CLOSED CKR_SESSION_COUNT CKR_SESSION_HANDLE_INVALID
    CKR_SESSION_READ_ONLY CKR_SESSION_EXISTS CKR_TEMPLATE_INCOMPLETE CKR_TEMPLATE_INCONSISTENT CKR_TOKEN_NOT_PRESENT
    CKR_TOKEN_NOT_RECOGNIZED CKR_TOKEN_WRITE_PROTECTED CKR_USER_ALREADY_LOGGED_IN CKR_USER_NOT_LOGGED_IN
    CKR_USER_PIN_NOT_INITIALIZED CKR_USER_TYPE_INVALID CKR_USER_ANOTHER_ALREADY_LOGGED_IN CKR_WRAPPED_KEY_INVALID
    CKR_UNWRAPPING_KEY_HANDLE_INVALID CKR_RANDOM_NO_RNG CKR_BUFFER_TOO_SMALL CKR_CRYPTOKI_NOT_INITIALIZED
    CKR_CRYPTOKI_ALREADY_INITIALIZED CKR_MUTEX_BAD CKR_FUNCTION_REJECTED CKR_TOKEN_RESOURCE_EXCEEDED
    CKR_OPERATION_CANCEL_FAILED
}

impl Code {
    /// The name, or one word for all that vendors invent: a label must not take any number of values.
    pub(crate) fn label(self) -> &'static str {
        self.name().unwrap_or("other")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code {:#x}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
