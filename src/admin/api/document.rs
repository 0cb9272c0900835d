//! The `OpenAPI` 3.1 document, made of the table of endpoints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::endpoint::{Call, Endpoint, Json};
use super::{Access, BASE, endpoints};
use crate::admin::role::Role;
use crate::problem::{self, Problem};

/// The one endpoint that shows it, without login.
pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/openapi.json", Access::Anyone, "Describes this API (OpenAPI 3.1).", show)
}

async fn show(_: Call) -> Result<Json<Document>, Problem> {
    Ok(Json(document()))
}

/// The document, as it is served and as it lies in the repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Document(pub(super) Value);

impl JsonSchema for Document {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpenApi".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object", "required": ["openapi", "info", "paths"] })
    }
}

/// Describes every endpoint.
pub(super) fn document() -> Document {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for endpoint in endpoints() {
        let operation = operation(&endpoint, &mut generator);
        let path = paths.entry(format!("{BASE}{}", endpoint.path)).or_default();
        path.insert(endpoint.method.as_str().to_lowercase(), operation);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem_schema());
    let roles = Role::ALL.map(Role::as_str).join(", ");
    Document(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Privet admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
            "description": format!(
                "The key of an operator stands behind `Authorization: Bearer`. The roles are {roles}; each may do all \
                 that those before it may. The role that an operation needs stands beside its security scheme."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "What is wrong (RFC 9457).",
                    "content": { problem::MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
                },
            },
            "securitySchemes": { "operator": { "type": "http", "scheme": "bearer" } },
        },
    }))
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = parameters("path", &(endpoint.schemas.path)(generator));
    parameters.extend(self::parameters("query", &(endpoint.schemas.query)(generator)));
    let mut success = json!({ "description": "Done." });
    if let Some(schema) = (endpoint.schemas.answer)(generator) {
        success["content"] = json!({ "application/json": { "schema": schema } });
    } else if !endpoint.streams.is_empty() {
        let kinds = endpoint.streams.iter().map(|kind| ((*kind).to_owned(), json!({})));
        success["content"] = Value::Object(kinds.collect());
    }
    let security = match endpoint.access {
        Access::Anyone => json!([]),
        Access::From(role) => json!([{ "operator": [role] }]),
    };
    let mut operation = json!({
        "summary": endpoint.summary,
        "operationId": id(endpoint),
        "tags": [endpoint.path.split('/').nth(1).unwrap_or_default()],
        "security": security,
        "responses": {
            endpoint.schemas.status.as_str(): success,
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = endpoint.schemas.body {
        let schema = body(generator);
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// The members of an object as parameters of the path or of the query.
fn parameters(place: &str, object: &Schema) -> Vec<Value> {
    let members = object.get("properties").and_then(Value::as_object);
    let required = object.get("required").and_then(Value::as_array);
    let is_required = |name: &str| place == "path" || required.is_some_and(|all| all.iter().any(|one| one == name));
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = without_null(schema.clone());
        let description = schema.as_object_mut().and_then(|members| members.remove("description"));
        let mut parameter = json!({ "name": name, "in": place, "required": is_required(name), "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    members.into_iter().flatten().map(parameter).collect()
}

/// What may be left out of a query is left out and never `null`.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice["type"] != "null");
    }
    schema
}

/// `GET /operators/{id}` is `getOperatorsId`.
fn id(endpoint: &Endpoint) -> String {
    let mut id = endpoint.method.as_str().to_lowercase();
    for word in endpoint.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

/// [`Problem`] as it is written.
fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string" },
            "request_id": { "type": "string" },
        },
    })
}
