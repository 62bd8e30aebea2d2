//! The parameters of a path, percent-decoded, each once; what is left over is refused by name.

use std::collections::BTreeMap;

use axum::extract::Request;

use super::body::invalid;
use crate::operation::Failure;

pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn of(request: &Request) -> Result<Self, Failure> {
        let mut parameters = BTreeMap::new();
        let query = request.uri().query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = super::json::shown(&name);
            if parameters.insert(name.clone(), value.into_owned()).is_some() {
                return Err(invalid("this parameter stands twice").at(name));
            }
        }
        Ok(Self(parameters))
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.0.remove(name)
    }

    /// A whole number up to 2^63 - 1, which every client's JSON can hold.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u64>, Failure> {
        let number = |text: String| {
            let number = text.parse().ok().filter(|number| *number <= i64::MAX.unsigned_abs());
            number.ok_or_else(|| invalid("a whole number is expected here").at(name))
        };
        self.text(name).map(number).transpose()
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(format!("there is no parameter `{name}` here")).at(name)),
        }
    }
}
