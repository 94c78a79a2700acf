//! Sends requests, and holds every answer against the OpenAPI document.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::backend::Fake;

/// The document, made once.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(spanwire_admin::openapi);

/// A server with the API in front of it.
pub(crate) struct World {
    pub(crate) fake: Arc<Fake>,
    router: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null when the body is not JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text of a problem, with every mistake.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.json["status"], self.status.as_u16());
        self.text.clone()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let fake = Fake::new();
        let backend: Arc<Fake> = Arc::clone(&fake);
        Self { fake, router: spanwire_admin::router(backend) }
    }

    /// A world with a channel, what may be called there and who may log in.
    pub(crate) async fn with_channel() -> Self {
        let world = Self::new();
        for (kind, object) in CHANNEL.iter() {
            world.post(&format!("/objects/{kind}"), object.clone()).await.expect(201);
        }
        world
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// Sends a request with the token to a path of the API.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request =
            request(method, &format!("/api/v1{path}")).header("authorization", BEARER);
        let has_type = headers.iter().any(|(name, _)| *name == "content-type");
        if body.is_some() && !has_type {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.raw(request.body(Body::from(body)).unwrap()).await
    }

    /// Sends a body as it is.
    pub(crate) async fn send_text(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        let request = request(method, &format!("/api/v1{path}"))
            .header("authorization", BEARER)
            .header("content-type", "application/json");
        self.raw(request.body(Body::from(body.to_vec())).unwrap()).await
    }

    /// Sends a request as it is.
    pub(crate) async fn raw(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { status: head.status, headers: head.headers, text, json };
        assert_eq!(answer.header(CACHE_CONTROL.as_str()), Some("no-store"), "{method} {path}");
        let challenge = answer.header(WWW_AUTHENTICATE.as_str());
        assert_eq!(challenge == Some("Bearer"), answer.status == 401, "{method} {path}");
        conforms(&method, &path, &answer);
        answer
    }

    /// Opens a stream and returns its body.
    pub(crate) async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, Body) {
        let mut request = request(Method::GET, &format!("/api/v1{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("authorization", BEARER).body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        (answer.status(), answer.into_body())
    }
}

pub(crate) fn request(method: Method, path: &str) -> axum::http::request::Builder {
    let peer: std::net::SocketAddr = "127.0.0.1:5000".parse().unwrap();
    Request::builder().method(method).uri(path).extension(peer)
}

/// Checks an answer against the document; what is not in it is refused.
fn conforms(method: &Method, path: &str, answer: &Answer) {
    let Some((template, item)) = documented(path) else {
        assert!(matches!(answer.status.as_u16(), 400 | 401 | 404 | 405), "{path}: {answer:?}");
        return;
    };
    let Some(operation) = item.get(method.as_str().to_ascii_lowercase()) else {
        if *method != Method::HEAD && answer.status != 401 {
            assert_eq!(answer.status, 405, "{template}");
            assert!(answer.headers.contains_key(ALLOW));
            answer.problem();
        }
        return;
    };
    let responses = &operation["responses"];
    let status = answer.status.as_str();
    let response = responses.get(status).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{method} {template}: {status} {answer:?}"));
    let Some(content) = response.get("content") else {
        assert_eq!(answer.text, "", "{method} {template}");
        return;
    };
    let content_type = answer.header(CONTENT_TYPE.as_str()).unwrap();
    let essence = content_type.split(';').next().unwrap();
    let media = content.get(essence);
    let media = media.unwrap_or_else(|| panic!("{method} {template}: {content_type}"));
    let value = if essence.ends_with("json") { answer.json.clone() } else { json!(answer.text) };
    assert_valid(&media["schema"], &value);
}

/// The entry of the document that a path belongs to: the one with the fewest variables.
fn documented(path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.replace("%73", "s");
    let fits = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template
                .zip(path)
                .all(|(one, other)| (one.starts_with('{') && !other.is_empty()) || one == other)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let fitting = paths.iter().filter(|(template, _)| fits(template));
    let (template, item) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, item))
}

/// Checks a value against a schema of the document.
#[track_caller]
pub(crate) fn assert_valid(schema: &Value, value: &Value) {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<jsonschema::Validator>>>> =
        LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    let validator = known.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        if let Value::Object(whole) = &mut whole {
            whole.insert("components".to_owned(), DOCUMENT["components"].clone());
        }
        Arc::new(jsonschema::draft202012::new(&whole).unwrap())
    });
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}: {value:#}");
}

/// Objects that go together, in the order in which they can be made.
pub(crate) static CHANNEL: LazyLock<Vec<(&'static str, Value)>> = LazyLock::new(|| {
    vec![
        (
            "security",
            json!({"name": "app1", "type": "basic_auth", "username": "app1", "password": "s3cret1"}),
        ),
        ("wsx_gateway", json!({"name": "gate", "services_allowed": ["zato.ping"]})),
        (
            "web_socket",
            json!({"name": "crm", "address": "/ws/crm", "service": "gate", "sec_def": "app1"}),
        ),
    ]
});

const BEARER: &str = "Bearer right-token";
