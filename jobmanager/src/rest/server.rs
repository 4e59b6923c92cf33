//! Connections, their limits, and the way of a request to its route.

use crate::rest::route::{Call, Context, Fault, Route, with_type};
use crate::rest::{RestOptions, guard, prometheus, table};
use crate::secured::{check_open, secure};
use crate::{cluster::Message, store::Store};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, RawPathParams, Request};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, get, on};
use flinkrs_core::config::PortRange;
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::auth::Secret;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;

/// Headers of a request at most.
const HEADERS: usize = 64;

/// Bytes of the head of a request at most, and what is read ahead of its body.
const HEAD_BYTES: usize = 64 << 10;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// REST that listens.
pub(crate) struct Rest {
    listener: TcpListener,
    metrics: Option<TcpListener>,
    options: RestOptions,
    address: SocketAddr,
}

impl Rest {
    /// Listens.
    ///
    /// Errors when the address is open to others and there is no secret, or when a port is taken.
    pub(crate) async fn bind(options: RestOptions, secret: Option<&Secret>) -> Result<Rest> {
        let asks = secret.is_some() || options.tls.as_ref().is_some_and(|(_, asks)| *asks);
        check_open("rest.bind-address", options.bind, asks, "security.ssl.rest.authentication-enabled")?;
        let listener = listen(options.bind, "rest.port").await?;
        let address = listener.local_addr().map_err(|error| Error::internal(format!("no local address: {error}")))?;
        let metrics = options.metrics_ports.map(|ports| listen_for_metrics(options.bind.ip(), ports)).transpose()?;
        Ok(Rest { listener, metrics, options, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are.
    pub(crate) fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Host and port for others.
    pub(crate) fn advertised(&self) -> String {
        format!("{}:{}", self.options.host, self.address.port())
    }
}

fn listen_for_metrics(ip: IpAddr, ports: PortRange) -> Result<TcpListener> {
    let listener = flinkrs_rpc::metrics::listen(ip, ports)?;
    let listener = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    listener.map_err(|error| Error::internal(format!("a listener that can't be used: {error}")))
}

async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| Error::Resource {
        message: format!("cannot listen on {address}: {error} (option {option}; 0 takes any free port)"),
    })
}

/// Serves for as long as it is polled.
pub(crate) async fn serve(
    rest: Rest,
    messages: mpsc::Sender<Message>,
    store: Store,
    secret: Option<Secret>,
    jobmanager: SocketAddr,
) {
    let view = rest.options.view.clone();
    let tls = rest.options.tls.clone().map(|(tls, _)| tls);
    let guard = Arc::new(guard::Guard { secret, view, host: rest.options.host.clone() });
    let context = Arc::new(Context { messages, store, options: rest.options, address: rest.address, jobmanager });
    let guarded = |router: Router| {
        let guard = Arc::clone(&guard);
        router.layer(middleware::from_fn(move |request, next| guard::check(Arc::clone(&guard), request, next)))
    };
    let metrics = Router::new().route(
        "/metrics",
        get({
            let context = Arc::clone(&context);
            async move || prometheus::page(context).await.unwrap_or_else(IntoResponse::into_response)
        }),
    );
    let api = accept(rest.listener, tls.clone(), guarded(routes(&context)), &guard);
    match rest.metrics {
        Some(listener) => drop(tokio::join!(api, accept(listener, tls, guarded(metrics), &guard))),
        None => api.await,
    }
}

/// All routes, with and without the version in front.
fn routes(context: &Arc<Context>) -> Router {
    let mut router = Router::new();
    for route in table::ROUTES {
        let filter = MethodFilter::try_from(route.method.clone()).expect("the table has methods that can be filtered");
        let versioned = format!("/v1{}", route.path);
        let paths = [route.path, &versioned];
        // The page's own address has no version.
        for path in &paths[..if route.path == "/" { 1 } else { 2 }] {
            let context = Arc::clone(context);
            let call = move |params: RawPathParams, query: Query<Vec<(String, String)>>, request: Request| {
                answer(route, Arc::clone(&context), params, query, request)
            };
            router = router.route(path, on(filter, call));
        }
    }
    let unknown = async |request: Request| {
        Fault::missing(format!("Unable to load requested file {}.", request.uri().path())).into_response()
    };
    let wrong = async || Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this path has other methods").into_response();
    router.fallback(unknown).method_not_allowed_fallback(wrong).layer(DefaultBodyLimit::disable())
}

async fn answer(
    route: &'static Route,
    context: Arc<Context>,
    params: RawPathParams,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> axum::response::Response {
    let path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (route.handler)(context, Call { path, query }, request).await.unwrap_or_else(IntoResponse::into_response)
}

/// Takes connections, each with its own task; a malformed request closes its connection and nothing else.
async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, router: Router, guard: &Arc<guard::Guard>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (routes, guard) = (TowerToHyperService::new(router.clone()), Arc::clone(guard));
        let service = service_fn(move |mut request| {
            guard.admit(&mut request);
            routes.call(request)
        });
        let tls = tls.clone();
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_headers(HEADERS)
                .max_buf_size(HEAD_BYTES);
            // What a client does wrong, it is told by the answer.
            match tls {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    if let Some(stream) = secure(stream, from, tls, "REST").await {
                        drop(http.serve_connection(TokioIo::new(stream), service).await);
                    }
                }
            }
            drop(permit);
        });
    }
}

/// A text that isn't JSON.
pub(super) fn text(content: &'static str, text: String) -> axum::response::Response {
    with_type(StatusCode::OK, content, text)
}
