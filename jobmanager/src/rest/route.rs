//! What a route is, what a handler gets, and what it answers.

use crate::cluster::{Cluster, Message, Reply};
use crate::rest::RestOptions;
use crate::store::Store;
use axum::body::{self, Body};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flinkrs_core::error::Error;
use flinkrs_protocol::JobId;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Bytes of a request's JSON at most.
const JSON_BYTES: usize = 1 << 20;

/// What a handler answers.
pub(super) type Answer = Result<Response, Fault>;

/// What answers a call.
pub(super) type Handler = fn(Arc<Context>, Call, Request) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One method of one path.
pub(super) struct Route {
    pub(super) method: Method,
    /// As in `/jobs/{jobid}`.
    pub(super) path: &'static str,
    /// What it does, for the description.
    pub(super) about: &'static str,
    /// Parameters behind the `?`, each with its meaning.
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    pub(super) handler: Handler,
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Json,
    File,
}

/// What an answer's body is, when all goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// Of the schema that Flink's answers have.
    Json,
    /// JSON that says itself what it is.
    Description,
    Text,
    Page,
    /// There is always an error.
    Nothing,
}

/// What handlers work with.
pub(crate) struct Context {
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) store: Store,
    pub(super) options: RestOptions,
    /// Where REST listens.
    pub(super) address: SocketAddr,
    /// Where the JobManager listens for RPC.
    pub(super) jobmanager: SocketAddr,
}

impl Context {
    /// Copies something out of the cluster, in its task: `look` has to be quick.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(|reply| {
            Message::Look(Box::new(move |cluster| {
                let _ = reply.send(Ok(look(cluster)));
            }))
        })
        .await
    }

    /// Sends a message and waits for the answer.
    pub(super) async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Fault> {
        let ends = || Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the JobManager ends");
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.map_err(|_| ends())?;
        answer.await.map_err(|_| ends())?.map_err(|error| Fault::from(&error))
    }
}

/// What a request asks for, without its body.
pub(super) struct Call {
    /// What stands for the names in the path.
    pub(super) path: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
}

impl Call {
    /// What stands for a name in the path.
    pub(super) fn at(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A parameter behind the `?`.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that is a list with commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.parameter(name).into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
    }

    /// The job in the path.
    pub(super) fn job(&self) -> Result<JobId, Fault> {
        self.at("jobid").parse().map_err(|error| Fault::bad(format!("{error}")))
    }

    /// The number in the path.
    pub(super) fn number(&self, name: &str) -> Result<u32, Fault> {
        let text = self.at(name);
        text.parse().map_err(|_| Fault::bad(format!("'{text}' is no {name}: that is a number from 0")))
    }
}

/// The JSON of a request's body; an empty object where there is none.
pub(super) async fn json_of(request: Request) -> Result<Value, Fault> {
    let bytes = body::to_bytes(request.into_body(), JSON_BYTES)
        .await
        .map_err(|_| Fault::new(StatusCode::PAYLOAD_TOO_LARGE, format!("more than {JSON_BYTES} bytes of JSON")))?;
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&bytes).map_err(|error| Fault::bad(format!("the request is no JSON: {error}")))
}

/// What is answered instead of what was asked for.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Fault {
        Fault { status, message: message.into() }
    }

    /// The request is wrong.
    pub(super) fn bad(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, message)
    }

    /// There is no such job.
    pub(super) fn no_job(job: JobId) -> Fault {
        Fault::missing(format!("Job {job} not found"))
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Fault {
        match error.root() {
            Error::Usage { .. } | Error::Plan { .. } => Fault::bad(error.to_string()),
            _ => Fault::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        with_type(self.status, "application/json; charset=UTF-8", json!({ "errors": [self.message] }).to_string())
    }
}

/// An answer in JSON.
pub(super) fn ok(value: Value) -> Answer {
    Ok(with_type(StatusCode::OK, "application/json; charset=UTF-8", value.to_string()))
}

/// An answer with a status and a type of content.
pub(super) fn with_type(status: StatusCode, content: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
