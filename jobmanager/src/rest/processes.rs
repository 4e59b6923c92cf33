//! What processes are set to, and what they have written.

use crate::cluster::Message;
use crate::rest::route::{Answer, Call, Context, Fault, ok};
use crate::rest::server::text;
use crate::rest::task_executors;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use flinkrs_rpc::VERSION;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces of logs on their way at most.
const PIECES: usize = 64;

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

/// The JobManager writes no files of its own.
pub(super) async fn no_logs(_: Arc<Context>, _: Call) -> Answer {
    ok(json!({ "logs": [] }))
}

pub(super) async fn no_log(_: Arc<Context>, _: Call) -> Answer {
    Err(Fault::missing("the JobManager logs to its standard error, which whoever has started it keeps"))
}

pub(super) async fn no_logs_there(context: Arc<Context>, call: Call) -> Answer {
    task_executors::one(&context, call.at("taskmanagerid")).await?;
    ok(json!({ "logs": [] }))
}

pub(super) async fn no_log_there(context: Arc<Context>, call: Call) -> Answer {
    task_executors::one(&context, call.at("taskmanagerid")).await?;
    Err(Fault::missing(
        "a TaskExecutor logs to its standard error; what a job's workers print is at /jobs/{jobid}/logs",
    ))
}

/// What the workers of a job have printed, of all TaskExecutors, file by file.
pub(super) async fn job_logs(context: Arc<Context>, call: Call) -> Answer {
    let job = call.job()?;
    let (to, pieces) = mpsc::channel(PIECES);
    if context.look(move |cluster| cluster.dispatcher.job(job).is_none()).await? {
        return Err(Fault::no_job(job));
    }
    context.ask(|reply| Message::Logs { job, to, reply }).await?;
    let mut last = String::new();
    let bytes = ReceiverStream::new(pieces).map(move |piece: flinkrs_rpc::proto::LogChunk| {
        let mut bytes = Vec::new();
        if piece.name != last {
            bytes.extend(format!("==> {} <==\n", piece.name).into_bytes());
            last = piece.name;
        }
        bytes.extend(piece.content);
        Ok::<_, Infallible>(bytes)
    });
    let mut response = Response::new(Body::from_stream(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
