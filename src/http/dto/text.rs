//! Machinery of the values: types that are a string in JSON, with their parser and their schema in one place.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use super::invalid_value::InvalidValue;

/// Reads a string and parses it.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: fn(&str) -> Result<T, InvalidValue>,
) -> Result<T, D::Error> {
    struct Text<T>(fn(&str) -> Result<T, InvalidValue>, PhantomData<T>);

    impl<T> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(parse, PhantomData))
}

/// Reads a whole number between two bounds.
pub(crate) fn deserialize_number<'de, D: Deserializer<'de>>(
    deserializer: D,
    min: u64,
    max: u64,
) -> Result<u64, D::Error> {
    struct Number(u64, u64);

    impl Visitor<'_> for Number {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {} to {}", self.0, self.1)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
            if (self.0..=self.1).contains(&number) {
                Ok(number)
            } else {
                Err(E::invalid_value(Unexpected::Unsigned(number), &self))
            }
        }
    }

    deserializer.deserialize_u64(Number(min, max))
}

/// The schema of a string.
pub(crate) fn schema(description: &str, pattern: &str, example: Option<&str>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let schema = schema.description(Some(description.trim())).pattern(Some(pattern));
    schema.examples(example).into()
}

/// The schema of a string that is one of a few.
pub(crate) fn enum_schema(
    description: &str,
    values: impl IntoIterator<Item = &'static str>,
) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    schema.description(Some(description.trim())).enum_values(Some(values)).into()
}

/// The schema of a whole number.
pub(crate) fn number_schema(description: &str, min: u64, max: u64) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    let bound = |number| usize::try_from(number).unwrap_or(usize::MAX);
    schema.description(Some(description.trim())).minimum(Some(bound(min))).maximum(Some(bound(max))).into()
}

/// Strings of requests: `Name(Type) = pattern, example, parser;`.
macro_rules! request_text {
    ($($(#[doc = $doc:literal])+ $name:ident($type:ty) = $pattern:expr, $example:expr, $parse:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name(pub(crate) $type);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::http::dto::text::deserialize(deserializer, $parse).map(Self)
            }
        }

        $crate::http::dto::text::has_schema!(
            $name, $crate::http::dto::text::schema(concat!($($doc),+), $pattern, $example)
        );
    )+};
}

/// The pattern of a key's name, without anchors, for the literals of `concat!`: `.` and `..` are none.
macro_rules! name_pattern {
    () => {
        "([a-z0-9_-][a-z0-9._-]{0,63}|[.][a-z0-9_-][a-z0-9._-]{0,62}|[.]{2}[a-z0-9._-]{1,62})"
    };
}

/// Strings of responses: `Name(Type) = pattern, example, formatter;`.
macro_rules! response_text {
    ($($(#[doc = $doc:literal])+ $name:ident($type:ty) = $pattern:literal, $example:expr, $format:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name(pub(crate) $type);

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let format: fn(&$type) -> String = $format;
                serializer.serialize_str(&format(&self.0))
            }
        }

        $crate::http::dto::text::has_schema!(
            $name, $crate::http::dto::text::schema(concat!($($doc),+), $pattern, $example)
        );
    )+};
}

/// Strings that are one of a few, in requests and responses: `Name(Type)`, whose `ALL` and `as_str` are the list.
macro_rules! choice {
    ($($(#[doc = $doc:literal])+ $name:ident($type:ty);)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(pub(crate) $type);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::http::dto::text::deserialize(deserializer, |text| {
                    let known = <$type>::ALL.into_iter().find(|known| known.as_str() == text);
                    known.ok_or_else(|| {
                        let names: Vec<_> = <$type>::ALL.into_iter().map(|known| known.as_str()).collect();
                        let message = format!("expected one of {}", names.join(", "));
                        $crate::http::dto::invalid_value::InvalidValue::request(message)
                    })
                })
                .map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_str())
            }
        }

        $crate::http::dto::text::has_schema!(
            $name,
            $crate::http::dto::text::enum_schema(
                concat!($($doc),+), <$type>::ALL.into_iter().map(|known| known.as_str())
            )
        );
    )+};
}

/// Whole numbers of requests: `Name(Type) = min, max;`.
macro_rules! request_number {
    ($($(#[doc = $doc:literal])+ $name:ident($type:ty) = $min:expr, $max:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(pub(crate) $type);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = $crate::http::dto::text::deserialize_number(deserializer, $min, $max)?;
                <$type>::try_from(number).map(Self).map_err(serde::de::Error::custom)
            }
        }

        $crate::http::dto::text::has_schema!(
            $name, $crate::http::dto::text::number_schema(concat!($($doc),+), $min, $max)
        );
    )+};
}

macro_rules! has_schema {
    ($name:ident, $schema:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $schema
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use {choice, has_schema, name_pattern, request_number, request_text, response_text};
