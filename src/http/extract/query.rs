//! The parameters of a path, percent-decoded, each once; what is left over is refused by name.

use std::collections::BTreeMap;

use axum::extract::Request;

use crate::http::extract::object::invalid;
use crate::http::extract::strict_json::shown;
use crate::service::Failure;

pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn of(request: &Request) -> Result<Self, Failure> {
        let mut parameters = BTreeMap::new();
        let query = request.uri().query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = shown(&name);
            if parameters.insert(name.clone(), value.into_owned()).is_some() {
                return Err(invalid("this parameter stands twice").at(name));
            }
        }
        Ok(Self(parameters))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.0.remove(name)
    }

    /// A whole number up to 2^63 - 1, which every client's JSON can hold.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<u64>, Failure> {
        let number = |text: String| {
            let number = text.parse().ok().filter(|number| *number <= i64::MAX.unsigned_abs());
            number.ok_or_else(|| invalid("a whole number is expected here").at(name))
        };
        self.text(name).map(number).transpose()
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(format!("there is no parameter `{name}` here")).at(name)),
        }
    }
}
