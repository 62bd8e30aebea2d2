//! The forms of values in requests: forgiving in form, strict in meaning (api.md, Rules).

use hsm::{G1Point, PointError};
use serde_json::Value;

use crate::auth::{Networks, NoNetwork, Scope, Scopes};
use crate::http::extract::object::{Members, invalid};
use crate::key::{AddressError, Binding, Eoa, KeyName, KeyVersionNumber, Registry, VersionSelector};
use crate::service::{Code, Failure};

pub(crate) fn text(value: Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) => {
            Err(invalid("a text is expected here"))
        }
    }
}

pub(crate) fn address(text: &str) -> Result<Eoa, Failure> {
    text.parse().map_err(|error: AddressError| Failure::new(Code::InvalidAddress, error.to_string()))
}

pub(crate) fn eoa(value: Value) -> Result<Eoa, Failure> {
    address(&text(value)?)
}

pub(crate) fn name(value: Value) -> Result<KeyName, Failure> {
    key_name(text(value)?)
}

pub(crate) fn curve(value: Value) -> Result<(), Failure> {
    if text(value)? == "bn254" { Ok(()) } else { Err(invalid("the one curve here is bn254")) }
}

/// A number from 1, `"current"` or `"next"`.
pub(crate) fn version(value: Value) -> Result<VersionSelector, Failure> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).and_then(KeyVersionNumber::new);
    match (number, value.as_str()) {
        (Some(number), _) => Ok(VersionSelector::Number(number)),
        (None, Some("current")) => Ok(VersionSelector::Current),
        (None, Some("next")) => Ok(VersionSelector::Next),
        (None, _) => Err(invalid("a version is a number from 1, \"current\" or \"next\"")),
    }
}

/// A number from 1.
pub(crate) fn version_number(value: Value) -> Result<KeyVersionNumber, Failure> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).and_then(KeyVersionNumber::new);
    number.ok_or_else(|| invalid("a version's number, from 1, is expected here"))
}

/// `{"x", "y"}` in either letter case, or one text of 64 bytes.
pub(crate) fn g1_point(value: Value) -> Result<G1Point, Failure> {
    if let Value::String(text) = &value {
        return G1Point::from_bytes(&bytes(text)?).map_err(point_failure);
    }
    let mut members = Members::of("hash.", value)
        .ok_or_else(|| invalid("a point is {\"x\": \"0x…\", \"y\": \"0x…\"} or 64 bytes of hex"))?;
    let mut coordinate = |lower, upper| match members.take(upper) {
        None => members.required(lower, field_element),
        Some(_) if members.take(lower).is_some() => {
            Err(invalid(format!("the point has both {lower} and {upper}")))
        }
        Some(value) => field_element(value).map_err(|failure| failure.at(format!("hash.{upper}"))),
    };
    let x = coordinate("x", "X")?;
    let y = coordinate("y", "Y")?;
    members.finish()?;
    G1Point::from_coordinates(&x, &y).map_err(point_failure)
}

fn field_element(value: Value) -> Result<[u8; 32], Failure> {
    match value {
        Value::String(text) => bytes(&text),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) => {
            Err(invalid("a coordinate is a text of 0x and 64 hex digits, never a number"))
        }
    }
}

/// The place of a registration, in the members of the call itself; none where the call says nothing of it.
pub(crate) fn binding_members(members: &mut Members, eoa: Eoa) -> Result<Option<Binding>, Failure> {
    let Some(registry) = members.optional("registry", text)? else {
        for name in ["chain_id", "verifying_contract", "operator", "avs", "operator_set_id"] {
            if members.take(name).is_some() {
                return Err(invalid("the member `registry` is missing").at("registry"));
            }
        }
        return Ok(None);
    };
    // Up to 2^63: what the store counts to.
    let chain_id = members.required("chain_id", number::<i64>)?.unsigned_abs();
    let verifying_contract = members.required("verifying_contract", self::eoa)?;
    let operator = members.optional("operator", self::eoa)?.unwrap_or(eoa);
    let registry = match registry.as_str() {
        "bls_apk_registry" => Registry::BlsApkRegistry,
        "key_registrar" => Registry::KeyRegistrar {
            avs: members.required("avs", self::eoa)?,
            operator_set_id: members.required("operator_set_id", number)?,
        },
        _ => return Err(invalid("a registry is \"bls_apk_registry\" or \"key_registrar\"").at("registry")),
    };
    Ok(Some(Binding { chain_id, registry, verifying_contract, operator }))
}

/// The same as a member `binding` of its own.
pub(crate) fn binding(members: &mut Members, eoa: Eoa) -> Result<Option<Binding>, Failure> {
    members.optional("binding", |value| {
        let mut inner = Members::of("binding.", value)
            .ok_or_else(|| invalid("a binding is an object with a registry"))?;
        let binding = binding_members(&mut inner, eoa)?;
        inner.finish()?;
        binding.ok_or_else(|| invalid("the member `binding.registry` is missing").at("binding.registry"))
    })
}

/// Why something is done: at most 200 printable characters, for the audit log.
pub(crate) fn reason(value: Value) -> Result<String, Failure> {
    let text = text(value)?;
    let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(invalid("a reason is 1 to 200 printable characters")) }
}

/// `true` or `false`.
pub(crate) fn flag(value: Value) -> Result<bool, Failure> {
    value.as_bool().ok_or_else(|| invalid("true or false is expected here"))
}

/// 32 bytes of hex.
pub(crate) fn bytes32(value: Value) -> Result<[u8; 32], Failure> {
    bytes(&text(value)?)
}

/// A list of texts, each of which `parse` understands.
pub(crate) fn texts<T>(
    value: Value,
    parse: impl Fn(String) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    match value {
        Value::Array(items) if items.len() <= 64 => {
            items.into_iter().map(|item| parse(text(item)?)).collect()
        }
        Value::Array(_) => Err(invalid("the list is too long")),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) | Value::String(_) => {
            Err(invalid("a list of texts is expected here"))
        }
    }
}

pub(crate) fn key_name(text: String) -> Result<KeyName, Failure> {
    text.parse().map_err(|error: crate::key::NameError| invalid(error.to_string()))
}

/// A list of scopes.
pub(crate) fn scopes(value: Value) -> Result<Scopes, Failure> {
    let scope = |word: String| word.parse::<Scope>().map_err(|error| invalid(error.to_string()));
    Ok(texts(value, scope)?.into_iter().collect())
}

/// A list of networks in CIDR form.
pub(crate) fn networks(value: Value) -> Result<Networks, Failure> {
    let words = texts(value, Ok)?;
    words.join(" ").parse().map_err(|error: NoNetwork| invalid(error.to_string()))
}

/// Hex of any length, `0x` optional.
pub(crate) fn hex_bytes(value: Value) -> Result<Vec<u8>, Failure> {
    let text = text(value)?;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(&text);
    hex::decode(digits).map_err(|_| {
        Failure::new(Code::InvalidHex, "expected an even number of hex digits, with or without 0x")
    })
}

/// A whole number that fits.
pub(crate) fn number<T: TryFrom<u64>>(value: Value) -> Result<T, Failure> {
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| invalid("a whole number is expected here, and not too large a one"))
}

/// Exactly `N` bytes of hex, `0x` optional.
pub(crate) fn bytes<const N: usize>(text: &str) -> Result<[u8; N], Failure> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.is_empty() || digits.eq_ignore_ascii_case("0x") {
        let sentence = "the value is empty: the contract read that it comes from gave nothing \
                        (wrong address, wrong chain or no such function)";
        return Err(Failure::new(Code::EmptyContractRead, sentence));
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| {
        Failure::new(Code::InvalidHex, format!("expected {} hex digits, with or without 0x", 2 * N))
    })?;
    Ok(bytes)
}

fn point_failure(error: PointError) -> Failure {
    let code = match error {
        PointError::CoordinateOutOfRange => Code::CoordinateOutOfRange,
        PointError::Infinity => Code::PointAtInfinity,
        PointError::NotInSubgroup | PointError::NotOnCurve => Code::PointNotOnCurve,
    };
    Failure::new(code, error.to_string())
}
