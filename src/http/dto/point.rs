//! Points of G1 and G2 in bodies.

use std::fmt;

use hsm::{G1Point, G2Point, PointError};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder};

use super::invalid_value::InvalidValue;
use super::text::{self, has_schema, request_text};
use super::values::{Bytes32, EXAMPLE_BYTES32, Hex32, parse_bytes};
use crate::service::ErrorCode;

/// A point of G1 in a request: its coordinates in either letter case, or 64 bytes `x` then `y`, as `eth_call` returns.
#[derive(Clone, Debug)]
pub(crate) struct Point(pub(crate) G1Point);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Point;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a point: {\"x\": \"0x…\", \"y\": \"0x…\"} or 64 bytes of hex")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Point, E> {
                let bytes = parse_bytes(text).map_err(E::custom)?;
                G1Point::from_bytes(&bytes).map(Point).map_err(|error| E::custom(invalid_point(&error)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Point, A::Error> {
                let (mut x, mut y) = (None, None);
                while let Some(name) = access.next_key::<Coordinate>()? {
                    let (coordinate, both) = match name {
                        Coordinate::X | Coordinate::UpperX => (&mut x, "the point has both x and X"),
                        Coordinate::Y | Coordinate::UpperY => (&mut y, "the point has both y and Y"),
                    };
                    if coordinate.replace(access.next_value::<FieldElement>()?.0).is_some() {
                        return Err(A::Error::custom(InvalidValue::request(both)));
                    }
                }
                let x = x.ok_or_else(|| A::Error::missing_field("x"))?;
                let y = y.ok_or_else(|| A::Error::missing_field("y"))?;
                G1Point::from_coordinates(&x, &y)
                    .map(Point)
                    .map_err(|error| A::Error::custom(invalid_point(&error)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Coordinate {
    #[serde(rename = "x")]
    X,
    #[serde(rename = "X")]
    UpperX,
    #[serde(rename = "y")]
    Y,
    #[serde(rename = "Y")]
    UpperY,
}

request_text! {
    /// A coordinate: 32 bytes of hex, `0x` optional; never a number.
    FieldElement([u8; 32]) = "^(0[xX])?[0-9a-fA-F]{64}$", EXAMPLE_BYTES32, parse_bytes;
}

has_schema!(Point, {
    let coordinates = |x: &str, y: &str| {
        let object = ObjectBuilder::new().property(x, Hex32::schema()).property(y, Hex32::schema());
        let object = object.required(x).required(y);
        object.additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)))
    };
    let bytes =
        text::schema("64 bytes of hex, `x` then `y`; `0x` optional.", "^(0[xX])?[0-9a-fA-F]{128}$", None);
    OneOfBuilder::new()
        .description(Some(
            "A point of G1: its coordinates, in either letter case, or 64 bytes `x` then `y`, as `eth_call` returns.",
        ))
        .item(coordinates("x", "y"))
        .item(coordinates("X", "Y"))
        .item(bytes)
        .into()
});

/// A point of G1 in a response.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct G1 {
    x: Bytes32,
    y: Bytes32,
}

impl From<&G1Point> for G1 {
    fn from(point: &G1Point) -> Self {
        Self { x: Bytes32(*point.x()), y: Bytes32(*point.y()) }
    }
}

/// A point of G2; of each coordinate the imaginary coefficient comes first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct G2 {
    x: [Bytes32; 2],
    y: [Bytes32; 2],
}

impl From<&G2Point> for G2 {
    fn from(point: &G2Point) -> Self {
        let bytes = |coefficients: &[[u8; 32]; 2]| coefficients.map(Bytes32);
        Self { x: bytes(point.x()), y: bytes(point.y()) }
    }
}

fn invalid_point(error: &PointError) -> InvalidValue {
    let code = match error {
        PointError::CoordinateOutOfRange => ErrorCode::CoordinateOutOfRange,
        PointError::Infinity => ErrorCode::PointAtInfinity,
        PointError::NotInSubgroup | PointError::NotOnCurve => ErrorCode::PointNotOnCurve,
    };
    InvalidValue::new(code, error.to_string())
}
