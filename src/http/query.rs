//! The parameters of a path, percent-decoded, each once; what is left over is refused by name.

use std::collections::BTreeMap;
use std::str::FromStr;

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

    /// A whole number.
    pub(super) fn number<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, Failure> {
        let number =
            |text: String| text.parse().map_err(|_| invalid("a whole number is expected here").at(name));
        self.text(name).map(number).transpose()
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(format!("there is no parameter `{name}` here")).at(name)),
        }
    }
}
