//! Description of one call for the OpenAPI document: summary, parameters, body, responses.
//!
//! Not for: what follows from the operation (security, name) or is the same for all calls (`openapi`).

use std::collections::BTreeSet;

use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The heading under which a call is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tag {
    Authentication,
    Keys,
    Signing,
    Audit,
    Service,
}

impl Tag {
    pub(crate) const ALL: [Self; 5] =
        [Self::Authentication, Self::Keys, Self::Signing, Self::Audit, Self::Service];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "Authentication",
            Self::Keys => "Keys",
            Self::Signing => "Signing",
            Self::Audit => "Audit",
            Self::Service => "Service",
        }
    }
}

/// What the OpenAPI document says of one call.
pub(crate) struct Description {
    pub(super) operation: OperationBuilder,
    /// The schemas that it refers to, by name.
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
    /// Statuses of refusals beyond those that every call of its kind has.
    pub(super) refusals: BTreeSet<u16>,
}

impl Description {
    /// A call; the summary is an imperative verb and its object.
    pub(crate) fn new(tag: Tag, summary: &'static str) -> Self {
        let operation = OperationBuilder::new().tag(tag.as_str()).summary(Some(summary));
        Self { operation, schemas: Vec::new(), refusals: BTreeSet::new() }
    }

    /// A parameter of the path.
    pub(crate) fn path<T: PartialSchema>(self, name: &str) -> Self {
        self.parameter::<T>(name, ParameterIn::Path, Required::True, None)
    }

    /// A parameter of the query that must be there.
    pub(crate) fn query<T: PartialSchema>(self, name: &str, description: &str) -> Self {
        self.parameter::<T>(name, ParameterIn::Query, Required::True, Some(description))
    }

    /// A parameter of the query that may be absent.
    pub(crate) fn optional_query<T: PartialSchema>(self, name: &str, description: &str) -> Self {
        self.parameter::<T>(name, ParameterIn::Query, Required::False, Some(description))
    }

    fn parameter<T: PartialSchema>(
        mut self,
        name: &str,
        place: ParameterIn,
        required: Required,
        description: Option<&str>,
    ) -> Self {
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        let parameter = parameter.description(description).schema(Some(T::schema()));
        self.operation = self.operation.parameter(parameter);
        self
    }

    /// The body of the request.
    pub(crate) fn body<T: ToSchema>(mut self) -> Self {
        let content = self.content::<T>();
        let body = RequestBodyBuilder::new().content("application/json", content);
        self.operation = self.operation.request_body(Some(body.required(Some(Required::True)).build()));
        self
    }

    /// A response with a JSON body.
    pub(crate) fn returns<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let content = self.content::<T>();
        self.response(status, description, "application/json", content)
    }

    /// A response of another form.
    pub(crate) fn returns_text(self, description: &str, content_type: &str) -> Self {
        self.response(200, description, content_type, Content::new(Some(String::schema())))
    }

    fn response(mut self, status: u16, description: &str, content_type: &str, content: Content) -> Self {
        let response = ResponseBuilder::new().description(description).content(content_type, content);
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    /// Further statuses of refusals.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    fn content<T: ToSchema>(&mut self) -> Content {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Content::new(Some(Ref::from_schema_name(T::name())))
    }
}
