//! The server of the metrics: one path, for those who have the secret.

use crate::metrics::Metrics;
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::metrics::Families;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 16;

/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Metrics {
    /// Serves for as long as it is polled.
    ///
    /// Errors when the listener can't be used.
    pub(crate) async fn serve(self) -> Result<()> {
        let failed = |error| Error::Resource { message: format!("the metrics can't be served: {error}") };
        self.listener.set_nonblocking(true).map_err(failed)?;
        let listener = self.listener.try_clone().and_then(tokio::net::TcpListener::from_std).map_err(failed)?;
        let (metrics, room) = (Arc::new(self), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let metrics = Arc::clone(&metrics);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&metrics), request));
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).keep_alive(false);
                // What a client does wrong, it is told by the answer.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
                drop(permit);
            });
        }
    }

    /// Without a secret it listens on loopback only.
    fn may_ask(&self, request: &Request<Incoming>) -> bool {
        let Some(secret) = &self.secret else { return true };
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|given| given.strip_prefix("Bearer ")).is_some_and(|given| secret.is(given.trim().as_bytes()))
    }
}

async fn answer(metrics: Arc<Metrics>, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let (status, text) = if !metrics.may_ask(&request) {
        let message = "the cluster demands its secret: send the header 'Authorization: Bearer SECRET'\n";
        (StatusCode::UNAUTHORIZED, message.to_owned())
    } else if request.method() != Method::GET || request.uri().path() != "/metrics" {
        (StatusCode::NOT_FOUND, "there is GET /metrics\n".to_owned())
    } else {
        // Reports are files.
        match tokio::task::spawn_blocking(move || metrics.page()).await {
            Ok(page) => (StatusCode::OK, page),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Families::CONTENT));
    Ok(response)
}
