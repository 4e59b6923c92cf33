//! Programs that are uploaded and started here. They run in processes of their own: what they submit is told by them.

use crate::rest::route::{Answer, Call, Context, Fault, json_of, ok};
use crate::store::{Jar, Upload};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use flinkrs_rpc::roles::{Destination, ROLE, SUBMIT, SUBMIT_SPEC, SubmitSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// How long a program may take to submit its job, and then to end.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);

/// What is kept of a program's standard error.
const ERROR_BYTES: u64 = 16 << 10;

/// Bytes of a line of a program that is looked at.
const LINE_BYTES: u64 = 64 << 10;

/// What a detached program prints when it has submitted, before the job's id.
const SUBMITTED: &str = "Job has been submitted with JobID ";

pub(super) async fn list(context: Arc<Context>, _: Call) -> Answer {
    let jars = context.store.jars().map_err(|error| Fault::from(&error))?;
    let one = |jar: &Jar| {
        json!({
            "id": jar.id,
            "name": jar.name,
            "uploaded": jar.uploaded_ms,
            "entry": [{ "name": jar.name, "description": null }],
        })
    };
    ok(json!({
        "address": format!("{}://{}:{}", context.options.scheme(), context.options.host, context.address.port()),
        "files": jars.iter().map(one).collect::<Vec<_>>(),
    }))
}

pub(super) async fn upload(context: Arc<Context>, _: Call, request: Request) -> Answer {
    let wrong = |error: &dyn std::fmt::Display| Fault::bad(format!("the upload is no form with one file: {error}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| wrong(&error))?;
    let field = form.next_field().await.map_err(|error| wrong(&error))?;
    let mut field = field.ok_or_else(|| wrong(&"it is empty"))?;
    let name = field.file_name().or(field.name()).unwrap_or_default().to_owned();
    let stored = |error| Fault::from(&error);
    let mut upload = Upload::begin(&context.store).map_err(stored)?;
    while let Some(chunk) = field.chunk().await.map_err(|error| wrong(&error))? {
        upload.write(&chunk).map_err(stored)?;
    }
    upload.check(&format!("'{name}'")).map_err(stored)?;
    let artifact = upload.finish(None).map_err(stored)?;
    let id = context.store.put_jar(&artifact, &name).map_err(stored)?;
    // Flink's clients take the part behind the last slash.
    ok(json!({ "filename": format!("/jars/{id}"), "status": "success" }))
}

pub(super) async fn delete(context: Arc<Context>, call: Call) -> Answer {
    let jar = find(&context, &call)?;
    let artifact = jar.artifact.clone();
    let is_used = move |cluster: &crate::cluster::Cluster| {
        cluster.applications.values().any(|application| application.program.artifact == artifact)
    };
    let is_used = context.look(is_used).await?;
    context.store.remove_jar(&jar, is_used).map_err(|error| Fault::from(&error))?;
    ok(json!({}))
}

fn find(context: &Context, call: &Call) -> Result<Jar, Fault> {
    let id = call.at("jarid");
    let jars = context.store.jars().map_err(|error| Fault::from(&error))?;
    jars.into_iter()
        .find(|jar| jar.id == id)
        .ok_or_else(|| Fault::missing(format!("there is no program '{id}' (/jars)")))
}

pub(super) async fn run(context: Arc<Context>, call: Call, request: Request) -> Answer {
    let jar = find(&context, &call)?;
    let behind = |name: &str| call.parameter(name).map(str::to_owned);
    let (parallelism, args, list) = (behind("parallelism"), behind("program-args"), call.list("programArg"));
    let body = json_of(request).await?;
    for unknown in ["savepointPath", "jobId"] {
        if !body[unknown].is_null() {
            return Err(Fault::bad(format!("{unknown} is set, which a program of a batch job has no use for")));
        }
    }
    let arguments = arguments(&body, args, list)?;
    let parallelism = match (&body["parallelism"], parallelism) {
        (Value::Null, None) => None,
        (Value::Null, Some(text)) => Some(number(&text, text.parse().ok())?),
        (value, _) => Some(number(value, value.as_u64().and_then(|number| u32::try_from(number).ok()))?),
    };
    let spec = spec(&context, parallelism)?;
    let path = context.store.runnable(&jar).map_err(|error| Fault::from(&error))?;
    let mut command = Command::new(&path);
    command.args(arguments).env(ROLE, SUBMIT).env(SUBMIT_SPEC, spec).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(&format!("'{}' can't be started: {error}", jar.name)))?;
    let submitted = tokio::time::timeout(SUBMIT_TIMEOUT, submitted(child)).await;
    let seconds = SUBMIT_TIMEOUT.as_secs();
    let job = submitted.map_err(|_| failed(&format!("'{}' has submitted no job in {seconds} s", jar.name)))??;
    ok(json!({ "jobid": job }))
}

fn failed(message: &str) -> Fault {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

fn number(given: &dyn std::fmt::Display, number: Option<u32>) -> Result<u32, Fault> {
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| Fault::bad(format!("parallelism is {given}; it has to be a number from 1")))
}

/// The program's arguments: of the body, or else of the query.
fn arguments(body: &Value, text: Option<String>, list: Vec<String>) -> Result<Vec<String>, Fault> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    match (&body["programArgsList"], &body["programArgs"]) {
        (Value::Array(of), _) => {
            let of = of.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>();
            of.ok_or_else(|| Fault::bad("programArgsList is a list of texts"))
        }
        (Value::Null, Value::String(text)) => Ok(words(text)),
        (Value::Null, Value::Null) => Ok(text.map_or(list, |text| words(&text))),
        _ => Err(Fault::bad("programArgsList is a list of texts, and programArgs a text")),
    }
}

/// How the program finds this JobManager.
fn spec(context: &Context, parallelism: Option<u32>) -> Result<String, Fault> {
    let at = context.jobmanager;
    let here = if at.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), at.port()) } else { at };
    let spec = SubmitSpec {
        to: Destination::JobManager {
            address: here.to_string(),
            secret_file: context.options.secret_file.clone(),
            tls: context.options.tls_files.clone(),
        },
        parallelism,
        detached: true,
        cancel_on_lost_client: false,
        blocking_exchanges: false,
        settings: BTreeMap::new(),
    };
    serde_json::to_string(&spec).map_err(|error| failed(&error.to_string()))
}

/// Waits for the id of the job that a program submits, and sees to it that the program ends.
async fn submitted(mut child: Child) -> Result<String, Fault> {
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else { return Err(failed("no pipes")) };
    let errors = tokio::spawn(drain(err));
    let mut out = BufReader::new(out);
    match job_id(&mut out).await {
        Some(job) => {
            tokio::spawn(async move {
                let ended = async { tokio::join!(drain(out), child.wait()) };
                // One that goes on is killed when it is dropped.
                let _ = tokio::time::timeout(SUBMIT_TIMEOUT, ended).await;
            });
            Ok(job)
        }
        None => {
            let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
            let errors = errors.await.unwrap_or_default();
            Err(failed(&format!("the program has ended ({status}) and submitted no job: {}", errors.trim())))
        }
    }
}

/// The id in the line that says so.
async fn job_id(out: &mut BufReader<ChildStdout>) -> Option<String> {
    loop {
        let mut line = Vec::new();
        let read = (&mut *out).take(LINE_BYTES).read_until(b'\n', &mut line).await;
        if !read.is_ok_and(|read| read > 0) {
            return None;
        }
        let line = String::from_utf8_lossy(&line);
        if let Some(job) = line.trim_end().strip_prefix(SUBMITTED) {
            return Some(job.to_owned());
        }
    }
}

/// Reads to the end, and keeps the beginning.
async fn drain(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    // What can't be read isn't shown.
    let _ = (&mut from).take(ERROR_BYTES).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
