//! One operation of the API, made of its handler: what it takes and answers is
//! told by the handler's types, so that code and document cannot differ.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::{HeaderValue, Method, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Access, Services, Who};
use crate::audit::Action;
use crate::problem::{Problem, ProblemKind};

/// What a handler is called with: `P` from the path, `Q` from the query, `B`
/// from the body.
#[derive(Debug)]
pub struct Call<P = Nothing, Q = Nothing, B = Nothing> {
    /// What all handlers share.
    pub services: Arc<Services>,
    /// Who asks.
    pub who: Who,
    /// The id of the request, for the log and the access log.
    pub request_id: String,
    /// Why, in words of the operator's own.
    pub reason: Option<String>,
    /// The variables of the path.
    pub path: P,
    /// The query.
    pub query: Q,
    /// The body.
    pub body: B,
}

/// No variable, no query, no body.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What a handler answers, and how the document tells it.
pub trait Answer: Send + 'static {
    /// The status of success.
    const STATUS: StatusCode;
    /// The schema of the body as JSON; none where it has none, or is no JSON.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
    /// The response.
    fn into_response(self) -> Response;
}

/// 200 with a JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// 201 with a JSON body.
#[derive(Debug)]
pub struct Created<T>(pub T);

/// 204: done, and there is nothing to say.
#[derive(Debug, Clone, Copy)]
pub struct Done;

/// 200 with a body that streams, of one of the types that the endpoint says by
/// [`Endpoint::streams`].
#[derive(Debug)]
pub struct Streamed {
    /// Its media type.
    pub content_type: &'static str,
    /// The name under which a browser saves it.
    pub file_name: Option<&'static str>,
    /// The bytes, as they come.
    pub body: Body,
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Json<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn into_response(self) -> Response {
        json(Self::STATUS, &self.0)
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Created<T> {
    const STATUS: StatusCode = StatusCode::CREATED;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn into_response(self) -> Response {
        json(Self::STATUS, &self.0)
    }
}

impl Answer for Done {
    const STATUS: StatusCode = StatusCode::NO_CONTENT;

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn into_response(self) -> Response {
        Self::STATUS.into_response()
    }
}

impl Answer for Streamed {
    const STATUS: StatusCode = StatusCode::OK;

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn into_response(self) -> Response {
        let mut response = ([(header::CONTENT_TYPE, self.content_type)], self.body).into_response();
        if let Some(name) = self.file_name
            && let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\""))
        {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        response
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => super::refuse(&Problem::new(ProblemKind::InternalError, "The answer cannot be written as JSON.")),
    }
}

type Answered = Pin<Box<dyn Future<Output = Response> + Send>>;
pub(super) type Run = Arc<dyn Fn(Given) -> Answered + Send + Sync>;

/// What the frame gives to an endpoint: a request whose sender is known and
/// may do this.
pub(super) struct Given {
    pub(super) services: Arc<Services>,
    pub(super) who: Who,
    pub(super) request_id: String,
    pub(super) head: request::Parts,
    pub(super) body: Bytes,
}

/// One operation of the API.
pub struct Endpoint {
    pub(super) method: Method,
    /// Below `/api/v1`, variables in braces.
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// One sentence.
    pub(super) summary: &'static str,
    pub(super) schemas: Schemas,
    pub(super) streams: &'static [&'static str],
    pub(super) body_limit: usize,
    /// Whether the handler writes the line of the access log.
    pub(super) records_itself: bool,
    pub(super) run: Run,
}

/// How the document describes what a handler takes and answers.
pub(super) struct Schemas {
    pub(super) path: fn(&mut SchemaGenerator) -> Schema,
    pub(super) query: fn(&mut SchemaGenerator) -> Schema,
    /// None where there is no body.
    pub(super) body: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub(super) status: StatusCode,
    pub(super) answer: fn(&mut SchemaGenerator) -> Option<Schema>,
}

/// The longest body where an endpoint says nothing else.
const BODY_LIMIT: usize = 256 * 1024;

impl Endpoint {
    /// `GET`: looks and changes nothing.
    pub fn get<P, Q, A, F, Fut>(
        path: &'static str,
        access: impl Into<Access>,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        A: Answer,
        F: Fn(Call<P, Q>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        Self::of(Method::GET, path, access.into(), summary, None, handler)
    }

    /// `DELETE`: takes away what the path names.
    pub fn delete<P, Q, A, F, Fut>(
        path: &'static str,
        access: impl Into<Access>,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        A: Answer,
        F: Fn(Call<P, Q>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        Self::of(Method::DELETE, path, access.into(), summary, None, handler)
    }

    /// `POST` with a JSON body.
    pub fn post<P, Q, B, A, F, Fut>(
        path: &'static str,
        access: impl Into<Access>,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        A: Answer,
        F: Fn(Call<P, Q, B>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        Self::of(Method::POST, path, access.into(), summary, Some(GeneratorOf::<B>::schema), handler)
    }

    /// `PUT` with a JSON body.
    pub fn put<P, Q, B, A, F, Fut>(
        path: &'static str,
        access: impl Into<Access>,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        A: Answer,
        F: Fn(Call<P, Q, B>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        Self::of(Method::PUT, path, access.into(), summary, Some(GeneratorOf::<B>::schema), handler)
    }

    /// The media types of a [`Streamed`] answer.
    #[must_use]
    pub fn streams(mut self, media_types: &'static [&'static str]) -> Self {
        self.streams = media_types;
        self
    }

    /// The handler writes the line of the access log, since it knows more. All
    /// other operations from officer on have theirs written before they run.
    #[must_use]
    pub fn records_itself(mut self) -> Self {
        self.records_itself = true;
        self
    }

    /// What the access log says is done by this.
    pub(super) fn action(&self) -> Action {
        let says = |word: &str| self.path.contains(word);
        match self.path.split('/').nth(1).unwrap_or_default() {
            _ if says("export") && !says("audit") => Action::Export,
            "audit" => Action::Audit,
            "operators" => Action::Operator,
            "incidents" => Action::Incident,
            "reports" => Action::Report,
            "cases" => Action::Case,
            "consents" => Action::Consent,
            "vault" if says("backup") => Action::Backup,
            "vault" if says("restore") => Action::Restore,
            "vault" if says("rotat") => Action::Rotate,
            "vault" if says("purge") => Action::Purge,
            _ if says("consent") => Action::Consent,
            _ if says("rectif") || self.method == Method::PUT || self.method == Method::PATCH => Action::Rectify,
            _ if says("eras") || self.method == Method::DELETE => Action::Erase,
            _ if says("restrict") => Action::Restrict,
            _ if says("object") => Action::Object,
            _ if says("{") => Action::Show,
            _ => Action::Find,
        }
    }

    /// The longest body in bytes; 256 KiB where nothing is said.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    fn of<P, Q, B, A, F, Fut>(
        method: Method,
        path: &'static str,
        access: Access,
        summary: &'static str,
        body: Option<fn(&mut SchemaGenerator) -> Schema>,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        A: Answer,
        F: Fn(Call<P, Q, B>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let takes_body = body.is_some();
        let run: Run = Arc::new(move |given: Given| {
            let handler = handler.clone();
            Box::pin(async move {
                let answered = match read(given, takes_body).await {
                    Ok(call) => handler(call).await,
                    Err(problem) => Err(problem),
                };
                answered.map_or_else(|problem| super::refuse(&problem), Answer::into_response)
            })
        });
        let schemas = Schemas {
            path: <P as JsonSchema>::json_schema,
            query: <Q as JsonSchema>::json_schema,
            body,
            status: A::STATUS,
            answer: A::schema,
        };
        Self {
            method,
            path,
            access,
            summary,
            schemas,
            streams: &[],
            body_limit: BODY_LIMIT,
            records_itself: false,
            run,
        }
    }
}

struct GeneratorOf<B>(std::marker::PhantomData<B>);

impl<B: JsonSchema> GeneratorOf<B> {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<B>()
    }
}

/// Reads what the handler takes. A message of the reader is not passed on: it
/// quotes what it could not read.
async fn read<P, Q, B>(given: Given, takes_body: bool) -> Result<Call<P, Q, B>, Problem>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned,
    B: DeserializeOwned,
{
    let bad = |detail: &'static str| Problem::new(ProblemKind::BadRequest, detail);
    let Given { services, who, request_id, mut head, body } = given;
    let Path(path) = Path::<P>::from_request_parts(&mut head, &())
        .await
        .map_err(|_| bad("A variable of the path cannot be read; /api/v1/openapi.json tells its form."))?;
    let Query(query) = Query::<Q>::try_from_uri(&head.uri).map_err(|error| {
        let error: &dyn std::error::Error = &error;
        let expected = expected(&error.source().map_or_else(|| error.to_string(), ToString::to_string));
        let detail = format!("The query cannot be read{expected}; /api/v1/openapi.json tells its members.");
        Problem::new(ProblemKind::BadRequest, detail)
    })?;
    let body = if takes_body {
        if !is_json(&head) {
            return Err(Problem::new(ProblemKind::UnsupportedBody, "The body must be of type application/json."));
        }
        // An array would be read as members in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(bad("The body must be a JSON object; /api/v1/openapi.json tells its form."));
        }
        let reader = &mut serde_json::Deserializer::from_slice(&body);
        let read = B::deserialize(&mut *reader).and_then(|read| reader.end().map(|()| read));
        read.map_err(|error| {
            Problem::new(
                ProblemKind::BadRequest,
                format!(
                    "The body cannot be read at line {}, column {}{}; /api/v1/openapi.json tells its form.",
                    error.line(),
                    error.column(),
                    expected(&error.to_string())
                ),
            )
        })?
    } else if body.is_empty() {
        serde_json::from_str("{}").map_err(|_| bad("There is no body."))?
    } else {
        return Err(bad("This operation takes no body."));
    };
    let reason = super::reason(&head);
    Ok(Call { services, who, request_id, reason, path, query, body })
}

/// What the reader says would be right. Of its messages these parts alone are
/// words of this program; the rest quotes what it was given.
fn expected(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let quotes = ["unknown variant", "unknown field", "invalid type", "invalid value", "invalid length"];
    let missing = message.find("missing field `").and_then(|at| message.get(at..)).filter(|_| !message.contains(", "));
    let wanted = message.rfind(", expected ").and_then(|at| message.get(at + 2..));
    match (missing, wanted) {
        (Some(missing), _) => format!(": {missing}"),
        (None, Some(wanted)) if quotes.iter().any(|kind| message.contains(kind)) => format!(": {wanted}"),
        _ => String::new(),
    }
}

/// A text of at most `MOST` characters, as its schema says.
pub(super) fn at_most<'de, D: serde::Deserializer<'de>, T, const MOST: usize>(reader: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + AsText,
{
    let text = T::deserialize(reader)?;
    if text.as_text().chars().count() > MOST {
        return Err(serde::de::Error::custom("longer than it may be"));
    }
    Ok(text)
}

/// What may be a text.
pub(super) trait AsText {
    /// The text; empty where there is none.
    fn as_text(&self) -> &str;
}

impl AsText for String {
    fn as_text(&self) -> &str {
        self
    }
}

impl AsText for Option<String> {
    fn as_text(&self) -> &str {
        self.as_deref().unwrap_or_default()
    }
}

fn is_json(head: &request::Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
