//! Lists in bodies, of bounded length.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Type};

use super::invalid_value::InvalidValue;
use super::text::has_schema;
use crate::auth::Networks;

/// A list of at most 64 items.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

/// The most items of a list in a request.
const MAX_ITEMS: usize = 64;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX_ITEMS} items")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                    if items.len() > MAX_ITEMS {
                        return Err(A::Error::invalid_length(items.len(), &self));
                    }
                }
                Ok(List(items))
            }
        }

        deserializer.deserialize_seq(Items(std::marker::PhantomData))
    }
}

/// Networks in CIDR form.
#[derive(Clone, Debug)]
pub(crate) struct NetworkList(pub(crate) Networks);

impl<'de> Deserialize<'de> for NetworkList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let List(networks) = List::<String>::deserialize(deserializer)?;
        let networks = networks.join(" ").parse::<Networks>();
        networks.map(Self).map_err(|error| D::Error::custom(InvalidValue::request(error.to_string())))
    }
}

has_schema!(NetworkList, {
    let network = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let list = ArrayBuilder::new().items(network).max_items(Some(MAX_ITEMS));
    list.description(Some("Networks in CIDR form, such as `10.0.0.0/8`; at most 16.")).into()
});
