//! Query parameters, percent-decoded; a repeated or unknown one is refused by name.

use std::collections::BTreeMap;

use axum::extract::Request;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::dto::invalid_value::{from_value, invalid, printable};
use crate::http::dto::page::PageLimit;
use crate::http::dto::text::request_number;
use crate::service::ServiceError;

request_number! {
    /// The number of a record or an event, up to 2^63 - 1, which every client's JSON can hold.
    Seq(u64) = 0, i64::MAX.unsigned_abs();
}

pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn of(request: &Request) -> Result<Self, ServiceError> {
        let mut parameters = BTreeMap::new();
        let query = request.uri().query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = printable(&name);
            if parameters.insert(name.clone(), value.into_owned()).is_some() {
                return Err(invalid("duplicate query parameter").field(name));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter whose value is a string.
    pub(crate) fn text<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, ServiceError> {
        self.value(name, Value::String)
    }

    /// A parameter whose value is a number.
    pub(crate) fn number<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, ServiceError> {
        self.value(name, |text| {
            // `parse` takes a sign.
            let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>());
            number.and_then(Result::ok).map_or(Value::String(text), Value::from)
        })
    }

    fn value<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        value: impl FnOnce(String) -> Value,
    ) -> Result<Option<T>, ServiceError> {
        let read = |text| from_value(value(text)).map_err(|failure| failure.field(name));
        self.0.remove(name).map(read).transpose()
    }

    /// The most items of a page.
    pub(crate) fn limit(&mut self) -> Result<usize, ServiceError> {
        self.number("limit").map(PageLimit::items)
    }

    /// The parameters of a page of numbered items: `after`, 0 if absent, and `limit`.
    pub(crate) fn numbered_page(&mut self) -> Result<(u64, usize), ServiceError> {
        let after = self.number("after")?.map_or(0, |Seq(seq)| seq);
        Ok((after, self.limit()?))
    }

    pub(crate) fn finish(self) -> Result<(), ServiceError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(format!("unknown query parameter `{name}`")).field(name)),
        }
    }
}
