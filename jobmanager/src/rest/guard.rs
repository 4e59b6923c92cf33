//! Who may ask: whoever has the secret; without one, this machine, and no page of a stranger in its browser.

use crate::rest::route::Fault;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flinkrs_rpc::auth::Secret;
use std::net::IpAddr;
use std::sync::Arc;

/// What requests are checked against.
pub(super) struct Guard {
    pub(super) secret: Option<Secret>,
    /// What the path of who may look begins with, as in `/view/WORD`.
    pub(super) view: Option<Secret>,
    /// The host by which others reach this server.
    pub(super) host: String,
}

/// What a request bears whose path has shown that its sender may look.
#[derive(Clone, Copy)]
struct MayLook;

/// Lets a request through, or answers it.
pub(super) async fn check(guard: Arc<Guard>, request: Request, next: Next) -> Response {
    if request.extensions().get::<MayLook>().is_some() {
        return next.run(request).await;
    }
    match guard.objection(request.headers()) {
        Some(fault) => fault.into_response(),
        None => next.run(request).await,
    }
}

impl Guard {
    /// Takes the word of who may look off a path, where it is right and nothing but a look is asked for.
    pub(super) fn admit<B>(&self, request: &mut hyper::Request<B>) {
        let Some(view) = &self.view else { return };
        let Some(rest) = request.uri().path().strip_prefix("/view/") else { return };
        let (word, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let looks = matches!(*request.method(), Method::GET | Method::HEAD);
        if !looks || !view.is(word.as_bytes()) {
            return;
        }
        let path = if path.is_empty() { "/" } else { path };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{path}{query}").parse() {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(MayLook);
        }
    }

    /// Why a request with these headers isn't answered.
    fn objection(&self, headers: &HeaderMap) -> Option<Fault> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(secret) = &self.secret {
            let given = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
            let is_right = given.is_some_and(|given| secret.is(given.trim().as_bytes()));
            let message = "the cluster demands its secret: send the header 'Authorization: Bearer SECRET'";
            return (!is_right).then(|| Fault::new(StatusCode::UNAUTHORIZED, message));
        }
        // Pages that a browser shows could ask in its user's name: under a name of their own that leads here, or from
        // another origin.
        let Some(host) = text(header::HOST) else { return Some(Fault::bad("a request without a host")) };
        if !self.is_here(host) {
            return Some(Fault::new(
                StatusCode::FORBIDDEN,
                format!("'{host}' is no name of this server (rest.address)"),
            ));
        }
        let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
        let is_own = origin.split_once("://").is_some_and(|(_, of)| of == host);
        (!is_own).then(|| Fault::new(StatusCode::FORBIDDEN, "requests of pages from elsewhere are not answered"))
    }

    fn is_here(&self, host: &str) -> bool {
        let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        let name = host[..port.unwrap_or(host.len())].trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name.eq_ignore_ascii_case(&self.host)
            || name.parse::<IpAddr>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn status(secret: Option<&[u8]>, sent: &[(HeaderName, &str)]) -> Option<StatusCode> {
        let guard = Guard { secret: secret.map(Secret::new), view: None, host: "jm.example".to_owned() };
        let headers = sent.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect();
        guard.objection(&headers).map(|fault| fault.into_response().status())
    }

    #[test]
    fn a_secret_has_to_be_given_whole() {
        let secret: &[u8] = b"0123456789abcdef";
        let bearer = |value| status(Some(secret), &[(header::AUTHORIZATION, value)]);
        assert_eq!(bearer("Bearer 0123456789abcdef"), None);
        for wrong in ["Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer ", "Basic 0123456789abcdef", ""] {
            assert_eq!(bearer(wrong), Some(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        assert_eq!(status(Some(secret), &[]), Some(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn who_has_the_word_may_look_and_nothing_else() {
        let secret = Some(Secret::random());
        let guard = Guard { secret, view: Some(Secret::new(b"word")), host: "jm.example".to_owned() };
        let admitted = |method: Method, uri: &str| {
            let mut request = hyper::Request::builder().method(method).uri(uri).body(()).expect("a request");
            guard.admit(&mut request);
            request.extensions().get::<MayLook>().map(|_| request.uri().to_string())
        };
        assert_eq!(admitted(Method::GET, "/view/word/jobs/overview?a=b").as_deref(), Some("/jobs/overview?a=b"));
        assert_eq!(admitted(Method::GET, "/view/word").as_deref(), Some("/"));
        for (method, uri) in [
            (Method::GET, "/view/other/jobs"),
            (Method::GET, "/view/wor"),
            (Method::GET, "/jobs"),
            (Method::PATCH, "/view/word/jobs/1"),
            (Method::POST, "/view/word/jars/upload"),
        ] {
            assert_eq!(admitted(method, uri), None, "{uri}");
        }
    }

    #[test]
    fn without_a_secret_no_page_from_elsewhere_is_answered() {
        for here in ["localhost:8081", "127.0.0.1", "[::1]:8081", "[::1]", "JM.example:8081"] {
            assert_eq!(status(None, &[(header::HOST, here)]), None, "{here}");
        }
        assert_eq!(status(None, &[(header::HOST, "evil.example:8081")]), Some(StatusCode::FORBIDDEN));
        assert_eq!(status(None, &[]), Some(StatusCode::BAD_REQUEST));
        let from = |origin| status(None, &[(header::HOST, "localhost:8081"), (header::ORIGIN, origin)]);
        assert_eq!(from("http://localhost:8081"), None);
        for elsewhere in ["http://evil.example", "null", "http://localhost:80"] {
            assert_eq!(from(elsewhere), Some(StatusCode::FORBIDDEN), "{elsewhere}");
        }
    }
}
