//! What processes are set to, and what they have written.

use crate::cluster::Message;
use crate::rest::logs::{PIECES, as_text};
use crate::rest::route::{Answer, Call, Context, Fault, ok};
use crate::rest::server::text;
use axum::http::{HeaderValue, header};
use flinkrs_rpc::VERSION;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The page for people.
const PAGE: &str = include_str!("page.html");

pub(super) async fn page(_: Arc<Context>, _: Call) -> Answer {
    let mut page = text("text/html; charset=UTF-8", PAGE.to_owned());
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(page)
}

pub(super) async fn config(context: Arc<Context>, _: Call) -> Answer {
    let one = |(key, value): &(String, String)| json!({ "key": key, "value": value });
    ok(context.options.settings.iter().map(one).collect())
}

pub(super) async fn environment(_: Arc<Context>, _: Call) -> Answer {
    let version = format!("none: flinkrs {VERSION} is native");
    ok(json!({ "jvm": { "version": version, "arch": std::env::consts::ARCH, "options": [] }, "classpath": [] }))
}

/// What the workers of a job have printed, of all TaskExecutors, file by file.
pub(super) async fn job_logs(context: Arc<Context>, call: Call) -> Answer {
    let job = call.job()?;
    let (to, pieces) = mpsc::channel(PIECES);
    if context.look(move |cluster| cluster.dispatcher.job(job).is_none()).await? {
        return Err(Fault::no_job(job));
    }
    context.ask(|reply| Message::Logs { job, to, reply }).await?;
    Ok(as_text(pieces, true))
}
