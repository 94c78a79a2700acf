//! Building blocks of the document: paths, operations, parameters.

use serde_json::{Map, Value, json};

use crate::extract::JSON;
use crate::page::{DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET};

/// Paths with their operations.
#[derive(Default)]
pub(super) struct Paths(Map<String, Value>);

impl Paths {
    /// Adds an operation.
    pub(super) fn add(&mut self, method: &str, path: &str, operation: Operation) {
        let item = self.0.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            item.insert(method.to_owned(), operation.build());
        }
    }

    pub(super) fn build(self) -> Value {
        Value::Object(self.0)
    }
}

/// One method of one path.
pub(super) struct Operation {
    fields: Map<String, Value>,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
}

impl Operation {
    /// An operation that needs the token.
    pub(super) fn new(id: &str, tag: &str, summary: &str) -> Self {
        let mut operation = Self::public(id, tag, summary).fails(&[400, 401]);
        operation.fields.remove("security");
        operation
    }

    /// An operation that everybody may call.
    pub(super) fn public(id: &str, tag: &str, summary: &str) -> Self {
        let fields = [
            ("operationId", json!(id)),
            ("tags", json!([tag])),
            ("summary", json!(summary)),
            ("security", json!([])),
        ];
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { fields, parameters: Vec::new(), responses: Map::new() }
    }

    /// A variable segment of the path.
    pub(super) fn path(self, name: &str, schema: Value, doc: &str) -> Self {
        self.parameter("path", name, schema, doc).fails(&[404])
    }

    /// A key of the query, which may be left out.
    pub(super) fn query(self, name: &str, schema: Value, doc: &str) -> Self {
        self.parameter("query", name, schema, doc)
    }

    /// A header of the request, which may be left out.
    pub(super) fn header(self, name: &str, schema: Value, doc: &str) -> Self {
        self.parameter("header", name, schema, doc)
    }

    fn parameter(mut self, place: &str, name: &str, schema: Value, doc: &str) -> Self {
        let fields = [
            ("name", name.into()),
            ("in", place.into()),
            ("required", (place == "path").into()),
            ("schema", schema),
            ("description", doc.into()),
        ];
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
        self.parameters.push(Value::Object(fields.collect()));
        self
    }

    /// The keys of lists in pages.
    pub(super) fn paged(self) -> Self {
        let limit = json!({
            "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
        });
        let offset = json!({
            "type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0,
        });
        self.query("limit", limit, "How many to return at most.").query(
            "offset",
            offset,
            "How many to leave out first.",
        )
    }

    /// The keys of requests that change objects.
    pub(super) fn changing(self) -> Self {
        self.query("dry_run", flag(), "Only tell what would be changed.").explained()
    }

    /// The reason of a change, and who it is for.
    pub(super) fn explained(self) -> Self {
        let reason = json!({
            "type": "string", "maxLength": crate::author::MAX_REASON,
            "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        });
        let doc = "The person that a program acts for, for the history.";
        self.query("reason", reason, "Why, for the history.")
            .header("X-Spanwire-User", json!({"type": "string"}), doc)
            .fails(&[409, 422, 500, 503])
    }

    /// The body, in any of these types.
    pub(super) fn body(mut self, types: &[&str], schema: &Value, is_required: bool) -> Self {
        let content: Map<_, _> =
            types.iter().map(|it| ((*it).to_owned(), json!({"schema": schema}))).collect();
        let body = json!({"required": is_required, "content": content});
        self.fields.insert("requestBody".to_owned(), body);
        self.fails(&[413, 415])
    }

    /// An answer in JSON.
    pub(super) fn answers(self, status: u16, doc: &str, schema: &Value) -> Self {
        self.answers_as(status, doc, JSON, schema)
    }

    /// An answer of some type.
    pub(super) fn answers_as(
        mut self,
        status: u16,
        doc: &str,
        content_type: &str,
        schema: &Value,
    ) -> Self {
        let known = self.responses.entry(status.to_string());
        let known = known.or_insert_with(|| json!({"description": doc, "content": {}}));
        if let Some(Value::Object(content)) = known.get_mut("content") {
            content.insert(content_type.to_owned(), json!({"schema": schema}));
        }
        self
    }

    /// An answer without a body.
    pub(super) fn answers_nothing(mut self, status: u16, doc: &str) -> Self {
        self.responses.insert(status.to_string(), json!({"description": doc}));
        self
    }

    /// Headers of the answer with a status.
    pub(super) fn with_headers(mut self, status: u16, headers: &[(&str, &str)]) -> Self {
        if let Some(Value::Object(response)) = self.responses.get_mut(&status.to_string()) {
            let one = |(name, doc): &(&str, &str)| {
                ((*name).to_owned(), json!({"description": doc, "schema": {"type": "string"}}))
            };
            let headers: Map<_, _> = headers.iter().map(one).collect();
            response.insert("headers".to_owned(), headers.into());
        }
        self
    }

    /// Statuses of problems.
    pub(super) fn fails(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.responses.insert(status.to_string(), problem(meaning(*status)));
        }
        self
    }

    /// Any other status is a problem as well.
    pub(super) fn fails_otherwise(mut self) -> Self {
        let problem = problem("What the one that was asked says is wrong.");
        self.responses.insert("default".to_owned(), problem);
        self
    }

    fn build(self) -> Value {
        let Self { mut fields, parameters, responses } = self;
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), parameters.into());
        }
        fields.insert("responses".to_owned(), responses.into());
        Value::Object(fields)
    }
}

/// The schema of a component.
pub(super) fn component(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema of a list of components.
pub(super) fn list_of(name: &str) -> Value {
    json!({"type": "array", "items": component(name)})
}

/// The schema of any text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// The schema of a text in a path.
pub(super) fn segment() -> Value {
    json!({"type": "string", "minLength": 1})
}

/// The schema of a switch in a query.
pub(super) fn flag() -> Value {
    json!({"type": "boolean", "default": false})
}

/// The headers of lists in pages.
pub(super) const PAGE: &[(&str, &str)] =
    &[("X-Total-Count", "How many there are on all pages."), ("Link", "The next page.")];

fn problem(doc: &str) -> Value {
    json!({
        "description": doc,
        "content": {"application/problem+json": {"schema": component("Problem")}},
    })
}

const fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed.",
        401 => "The token is missing or wrong.",
        404 => "There is no such thing.",
        409 => "It is in use, the name is taken, or somebody else was faster.",
        412 => "A condition of the request does not hold.",
        413 => "The body is too large.",
        415 => "The body is of another type.",
        422 => "What the body says is wrong; every mistake.",
        500 => "Stored secrets cannot be read, or the history is damaged.",
        503 => "It cannot be done now, such as when the store refuses.",
        _ => "An error.",
    }
}
