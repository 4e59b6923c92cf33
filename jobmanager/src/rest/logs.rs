//! Log files of the JobManager and of TaskExecutors.

use crate::cluster::Message;
use crate::rest::route::{Answer, Call, Context, Fault, ok};
use crate::rest::task_executors;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use flinkrs_protocol::TaskExecutorId;
use flinkrs_rpc::logs::{self, FILE_BYTES, LogFile};
use flinkrs_rpc::proto::LogChunk;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces of logs on their way at most.
pub(super) const PIECES: usize = 64;

/// The files of the JobManager itself.
const OF_JOBMANAGER: [&str; 2] = ["jobmanager.log", "jobmanager.out"];

/// The files of a TaskExecutor itself, beside which those of its workers lie.
const OF_TASK_EXECUTOR: [&str; 2] = ["taskexecutor.log", "taskexecutor.out"];

pub(super) async fn list(context: Arc<Context>, _: Call) -> Answer {
    listed(blocking(move || logs::list(&context.options.logs)).await?)
}

pub(super) async fn log(context: Arc<Context>, _: Call) -> Answer {
    file(context, OF_JOBMANAGER[0].to_owned()).await
}

pub(super) async fn stdout(context: Arc<Context>, _: Call) -> Answer {
    file(context, OF_JOBMANAGER[1].to_owned()).await
}

pub(super) async fn one(context: Arc<Context>, call: Call) -> Answer {
    file(context, call.at("file").to_owned()).await
}

pub(super) async fn list_of(context: Arc<Context>, call: Call) -> Answer {
    let task_executor = task_executor(&context, &call).await?;
    listed(context.ask(|reply| Message::LogsOf { task_executor, reply }).await?)
}

pub(super) async fn log_of(context: Arc<Context>, call: Call) -> Answer {
    file_of(context, &call, OF_TASK_EXECUTOR[0].to_owned()).await
}

pub(super) async fn stdout_of(context: Arc<Context>, call: Call) -> Answer {
    file_of(context, &call, OF_TASK_EXECUTOR[1].to_owned()).await
}

pub(super) async fn one_of(context: Arc<Context>, call: Call) -> Answer {
    let name = call.at("file").to_owned();
    file_of(context, &call, name).await
}

/// Stacks of a native process are for a debugger: Flink's are those of a JVM.
pub(super) async fn thread_dump(_: Arc<Context>, _: Call) -> Answer {
    Err(Fault::missing("there is no JVM whose threads could be dumped; `gdb -p PID` shows those of a process"))
}

fn listed(files: Vec<LogFile>) -> Answer {
    let one = |file: LogFile| json!({ "name": file.name, "size": file.size, "mtime": file.modified_ms });
    ok(json!({ "logs": files.into_iter().map(one).collect::<Vec<Value>>() }))
}

/// A file of this process.
async fn file(context: Arc<Context>, name: String) -> Answer {
    let (to, pieces) = mpsc::channel(PIECES);
    let (opened, missing) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut opened = Some(opened);
        let read = logs::read(&context.options.logs, &name, FILE_BYTES, |piece| {
            opened.take().map(|opened| opened.send(None));
            to.blocking_send(LogChunk { name: name.clone(), content: piece.to_vec() }).is_ok()
        });
        // Nobody waits for an error after the first piece.
        let _ = opened.take().map(|opened| opened.send(read.err()));
    });
    match missing.await {
        Ok(Some(error)) => Err(Fault::missing(error.to_string())),
        Ok(None) => Ok(as_text(pieces, false)),
        Err(_) => Err(Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "reading a log file has panicked")),
    }
}

/// A file of a TaskExecutor.
async fn file_of(context: Arc<Context>, call: &Call, name: String) -> Answer {
    let id = task_executor(&context, call).await?;
    let (task_executor, of) = (id.clone(), id);
    let files = context.ask(|reply| Message::LogsOf { task_executor, reply }).await?;
    if !files.iter().any(|file| file.name == name) {
        return Err(Fault::missing(format!("there is no log file '{name}'")));
    }
    let (to, pieces) = mpsc::channel(PIECES);
    context.ask(|reply| Message::LogOf { task_executor: of, name, to, reply }).await?;
    Ok(as_text(pieces, false))
}

async fn task_executor(context: &Context, call: &Call) -> Result<TaskExecutorId, Fault> {
    Ok(task_executors::one(context, call.at("taskmanagerid")).await?.view.registration.task_executor)
}

async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let ran = tokio::task::spawn_blocking(run).await;
    ran.map_err(|_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "reading a folder has panicked"))
}

/// Pieces of files as one text; `with_names`: each file begins with its name.
pub(super) fn as_text(pieces: mpsc::Receiver<LogChunk>, with_names: bool) -> Response {
    let mut last = String::new();
    let bytes = ReceiverStream::new(pieces).map(move |piece: LogChunk| {
        let mut bytes = Vec::new();
        if with_names && piece.name != last {
            bytes.extend(format!("==> {} <==\n", piece.name).into_bytes());
            last = piece.name;
        }
        bytes.extend(piece.content);
        Ok::<_, Infallible>(bytes)
    });
    let mut response = Response::new(Body::from_stream(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
