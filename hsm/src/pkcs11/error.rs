//! Errors of calls into the module: which function, and why it failed. Not for what to do then: `token::recovery`.

use std::fmt;

use cryptoki::error::RvError;

/// A call of the module that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{function} {cause}")]
pub struct TokenError {
    /// The function of PKCS#11, for example `C_Decrypt`.
    pub function: Function,
    /// Why it failed.
    pub cause: Cause,
}

/// Why a call of the module failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The module returned this code.
    #[error("answered {0}")]
    Refused(ReturnCode),
    /// The module returned `CKR_OK` with an answer that cannot be right.
    #[error("answered CKR_OK, but {0}")]
    ProtocolViolation(&'static str),
    /// The module has no such function.
    #[error("is not implemented by the module")]
    Unsupported,
    /// The session belongs to an earlier C_Initialize; the module was not called.
    #[error("was not called: the module was finalized after the session was opened")]
    Stale,
    /// Other threads are inside the module, which forbids this call; the module was not called.
    #[error("was not called: other calls are still inside the module")]
    Busy,
}

/// A `CK_RV` other than `CKR_OK`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReturnCode(pub(crate) RvError);

macro_rules! functions {
    ($($name:ident $text:literal,)*) => {
        /// The functions of PKCS#11 that are used, by the standard's name without `C_`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the names are the standard's
        pub enum Function { $($name,)* }

        impl Function {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The standard's name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

functions! {
    Initialize "C_Initialize", Finalize "C_Finalize", GetInfo "C_GetInfo", GetSlotList "C_GetSlotList",
    GetFunctionList "C_GetFunctionList", GetTokenInfo "C_GetTokenInfo", GetMechanismInfo "C_GetMechanismInfo",
    InitToken "C_InitToken", InitPIN "C_InitPIN", OpenSession "C_OpenSession", CloseSession "C_CloseSession",
    GetSessionInfo "C_GetSessionInfo", Login "C_Login", Logout "C_Logout", GenerateKey "C_GenerateKey",
    GenerateKeyPair "C_GenerateKeyPair", CreateObject "C_CreateObject", CopyObject "C_CopyObject",
    DestroyObject "C_DestroyObject", GetAttributeValue "C_GetAttributeValue",
    FindObjectsInit "C_FindObjectsInit", FindObjects "C_FindObjects", FindObjectsFinal "C_FindObjectsFinal",
    EncryptInit "C_EncryptInit", Encrypt "C_Encrypt", DecryptInit "C_DecryptInit", Decrypt "C_Decrypt",
    GenerateRandom "C_GenerateRandom", SignInit "C_SignInit", Sign "C_Sign",
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TokenError {
    /// The module returned `CKR_OK` with an answer that cannot be right.
    pub(crate) const fn protocol_violation(function: Function, what: &'static str) -> Self {
        Self { function, cause: Cause::ProtocolViolation(what) }
    }

    /// What the module answered has no form of the standard.
    pub(super) const fn nonstandard(function: Function) -> Self {
        Self::protocol_violation(function, "the value has no form of the standard")
    }

    /// Whether the module returned `CKR_OK` with an answer that cannot be right.
    pub(crate) const fn is_protocol_violation(&self) -> bool {
        matches!(self.cause, Cause::ProtocolViolation(_))
    }

    /// Whether the module does not know the object: also said where only another session may use it.
    pub(crate) const fn is_unknown_handle(&self) -> bool {
        matches!(self.code(), Some(RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid))
    }

    /// Whether the token refuses what the template asks for, and neither this call nor this moment: another template may
    /// do. A token without data objects says one of these, or that it has no such function.
    pub(crate) const fn refuses_template(&self) -> bool {
        use RvError as R;
        matches!(self.cause, Cause::Unsupported)
            || matches!(
                self.code(),
                Some(
                    R::TemplateInconsistent
                        | R::TemplateIncomplete
                        | R::AttributeTypeInvalid
                        | R::AttributeValueInvalid
                        | R::AttributeReadOnly
                        | R::FunctionNotSupported
                )
            )
    }

    /// Whether the module cannot do what it was asked for, however often it is asked.
    pub(crate) const fn is_unsupported(&self) -> bool {
        use RvError as R;
        matches!(self.cause, Cause::Unsupported)
            || matches!(
                self.code(),
                Some(
                    R::MechanismInvalid
                        | R::MechanismParamInvalid
                        | R::FunctionNotSupported
                        | R::KeyFunctionNotPermitted
                        | R::KeyTypeInconsistent
                )
            )
    }

    /// Whether the failure says nothing about what was asked: token, session or memory were away.
    pub(crate) const fn is_outage(&self) -> bool {
        use RvError as R;
        matches!(self.cause, Cause::Stale | Cause::Busy)
            || matches!(
                self.code(),
                Some(
                    R::DeviceRemoved
                        | R::TokenNotPresent
                        | R::SessionClosed
                        | R::SessionHandleInvalid
                        | R::SessionCount
                        | R::CryptokiNotInitialized
                        | R::HostMemory
                        | R::DeviceMemory
                )
            )
    }

    /// The token has no such session any more.
    pub(crate) fn is_closed_session(&self) -> bool {
        matches!(self.code(), Some(RvError::SessionHandleInvalid | RvError::SessionClosed))
    }

    /// The return code, where the module gave one.
    pub(crate) const fn code(&self) -> Option<RvError> {
        match self.cause {
            Cause::Refused(ReturnCode(code)) => Some(code),
            Cause::ProtocolViolation(_) | Cause::Unsupported | Cause::Stale | Cause::Busy => None,
        }
    }
}

/// Return codes of later versions of the standard, which `cryptoki` does not name.
pub(crate) const AEAD_DECRYPT_FAILED: RvError = RvError::UnknownErrorCode(0x42);
pub(crate) const TOKEN_RESOURCE_EXCEEDED: RvError = RvError::UnknownErrorCode(0x201);
pub(crate) const OPERATION_CANCEL_FAILED: RvError = RvError::UnknownErrorCode(0x202);
const LATER_CODES: [(RvError, &str); 3] = [
    (AEAD_DECRYPT_FAILED, "CKR_AEAD_DECRYPT_FAILED"),
    (TOKEN_RESOURCE_EXCEEDED, "CKR_TOKEN_RESOURCE_EXCEEDED"),
    (OPERATION_CANCEL_FAILED, "CKR_OPERATION_CANCEL_FAILED"),
];

impl ReturnCode {
    /// The standard's name; none for a vendor's code.
    fn name(self) -> Option<String> {
        if let RvError::VendorDefined(_) | RvError::UnknownErrorCode(_) = self.0 {
            let later = LATER_CODES.iter().find(|(code, _)| *code == self.0);
            return later.map(|(_, name)| (*name).to_owned());
        }
        // `cryptoki` names the code `GeneralError`, the standard `CKR_GENERAL_ERROR`.
        let mut name = "CKR".to_owned();
        for letter in format!("{:?}", self.0).chars() {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        Some(name)
    }
}

impl Cause {
    /// The metric label: the code's name, or one word. A vendor's codes share one label, so that labels stay few.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Refused(code) => code.name().unwrap_or_else(|| "other".to_owned()),
            Self::ProtocolViolation(_) => "protocol_violation".to_owned(),
            Self::Unsupported => "unsupported".to_owned(),
            Self::Stale => "stale".to_owned(),
            Self::Busy => "busy".to_owned(),
        }
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.0) {
            (Some(name), _) => f.write_str(&name),
            (None, RvError::VendorDefined(code) | RvError::UnknownErrorCode(code)) => {
                write!(f, "code {code:#x}")
            }
            (None, _) => f.write_str("an unknown code"),
        }
    }
}

impl fmt::Debug for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_standards_names() {
        for (code, name) in [
            (RvError::GeneralError, "CKR_GENERAL_ERROR"),
            (RvError::SlotIdInvalid, "CKR_SLOT_ID_INVALID"),
            (RvError::UserAnotherAlreadyLoggedIn, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN"),
            (RvError::UnknownErrorCode(0x42), "CKR_AEAD_DECRYPT_FAILED"),
            (RvError::VendorDefined(0x8000_0001), "code 0x80000001"),
            (RvError::UnknownErrorCode(0x3ff), "code 0x3ff"),
        ] {
            assert_eq!(ReturnCode(code).to_string(), name);
        }
        let error = TokenError {
            function: Function::Decrypt,
            cause: Cause::Refused(ReturnCode(RvError::DeviceError)),
        };
        assert_eq!(error.to_string(), "C_Decrypt answered CKR_DEVICE_ERROR");
    }
}
