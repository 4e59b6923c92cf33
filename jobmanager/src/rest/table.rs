//! All routes. What is served, what `/openapi.json` says and what `docs/rest.md` lists come from here.

use crate::rest::route::{Gives, Route, Takes};
use crate::rest::{
    accumulators, exceptions, jars, jobs, logs, metrics, openapi, overview, plan, processes, subtasks, task_executors,
    vertices,
};
use axum::http::Method;

/// One route: method, path, what it does, what it takes and gives, its handler, and its parameters.
macro_rules! route {
    ($method:ident $path:literal, $about:literal, $takes:ident => $gives:ident, $handler:path
        $(, $query:literal: $means:literal)*) => {
        Route {
            method: Method::$method,
            path: $path,
            about: $about,
            query: &[$(($query, $means)),*],
            takes: Takes::$takes,
            gives: Gives::$gives,
            handler: handler!($takes $handler),
        }
    };
}

/// A handler; only what takes a body gets the request.
macro_rules! handler {
    (Nothing $handler:path) => {
        |context, call, _| Box::pin($handler(context, call))
    };
    ($takes:ident $handler:path) => {
        |context, call, request| Box::pin($handler(context, call, request))
    };
}

/// A path that is read; JSON unless something else is named.
macro_rules! get {
    ($path:literal, $about:literal, $handler:path $(, $query:literal: $means:literal)*) => {
        route!(GET $path, $about, Nothing => Json, $handler $(, $query: $means)*)
    };
    ($gives:ident $path:literal, $about:literal, $handler:path) => {
        route!(GET $path, $about, Nothing => $gives, $handler)
    };
}

/// In the order of the reference page.
#[rustfmt::skip]
pub(super) static ROUTES: &[Route] = &[
    get!(Page "/", "A page for people", processes::page),
    get!(Description "/openapi.json", "This description", openapi::answer),
    get!("/overview", "Slots, and how many jobs there are in which state", overview::overview),
    get!("/config", "What a page has to know: version, features, how often to ask", overview::config),
    route!(DELETE "/cluster", "Ends all processes of the cluster", Nothing => Json, overview::shut_down),
    get!("/jobs", "All jobs, each with its state", jobs::list),
    get!("/jobs/overview", "All jobs, each with its times and counts of tasks", jobs::overview),
    get!("/jobs/metrics", "Metrics of jobs, aggregated", metrics::of_jobs,
        "get": "names of metrics, with commas; without it names are listed",
        "agg": "min, max, avg, sum, skew, with commas; without it all",
        "jobs": "ids of jobs, with commas; without it all"),
    get!("/jobs/{jobid}", "A job with its vertices and its plan", jobs::detail),
    route!(PATCH "/jobs/{jobid}",
        "Cancels a job", Nothing => Json, jobs::cancel, "mode": "`cancel`, which is also the default"),
    get!("/jobs/{jobid}/status", "The state of a job", jobs::status),
    get!("/jobs/{jobid}/plan", "The plan of a job", plan::answer),
    get!("/jobs/{jobid}/config", "What a job is set to", jobs::config),
    get!("/jobs/{jobid}/exceptions", "What has gone wrong in a job, the newest first", exceptions::answer,
        "maxExceptions": "how many at most"),
    get!("/jobs/{jobid}/accumulators", "The accumulators of a job, merged", accumulators::of_job),
    get!(Nothing "/jobs/{jobid}/checkpoints", "Always 404: batch jobs have none", jobs::checkpoints),
    get!(Nothing "/jobs/{jobid}/checkpoints/config", "Always 404: batch jobs have none", jobs::checkpoints),
    get!("/jobs/{jobid}/execution-result", "Whether and how a job has ended", exceptions::result),
    get!(Text "/jobs/{jobid}/logs", "What the job's workers have printed, as text; not in Flink", processes::job_logs),
    get!("/jobs/{jobid}/metrics", "Metrics of a job", metrics::of_job,
        "get": "names of metrics, with commas; without it names are listed"),
    get!("/jobs/{jobid}/vertices/{vertexid}", "A vertex with its subtasks", vertices::detail),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasktimes", "When subtasks came into each state", vertices::times),
    get!("/jobs/{jobid}/vertices/{vertexid}/taskmanagers", "A vertex by TaskExecutor", vertices::task_executors),
    get!("/jobs/{jobid}/vertices/{vertexid}/accumulators",
        "The accumulators of a vertex, merged", accumulators::of_vertex),
    get!("/jobs/{jobid}/vertices/{vertexid}/metrics",
        "Metrics of all subtasks; names begin with the subtask", metrics::of_vertex,
        "get": "names of metrics, with commas; without it names are listed"),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasks/accumulators",
        "The accumulators of each subtask", accumulators::of_subtasks),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasks/metrics", "Metrics of subtasks, aggregated", metrics::of_subtasks,
        "get": "names of metrics, with commas; without it names are listed",
        "agg": "min, max, avg, sum, skew, with commas; without it all",
        "subtasks": "numbers of subtasks, with commas; without it all"),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}",
        "The present attempt of a subtask", subtasks::current),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/metrics",
        "Metrics of a subtask", metrics::of_subtask,
        "get": "names of metrics, with commas; without it names are listed"),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}",
        "An attempt of a subtask", subtasks::of_attempt),
    get!("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}/accumulators",
        "The accumulators of an attempt", accumulators::of_attempt),
    get!("/taskmanagers", "All TaskExecutors", task_executors::list),
    get!("/taskmanagers/metrics", "Metrics of TaskExecutors, aggregated", metrics::of_task_executors,
        "get": "names of metrics, with commas; without it names are listed",
        "agg": "min, max, avg, sum, skew, with commas; without it all",
        "taskmanagers": "ids of TaskExecutors, with commas; without it all"),
    get!("/taskmanagers/{taskmanagerid}", "A TaskExecutor with its slots", task_executors::detail),
    get!("/taskmanagers/{taskmanagerid}/metrics", "Metrics of a TaskExecutor", metrics::of_task_executor,
        "get": "names of metrics, with commas; without it names are listed"),
    get!("/taskmanagers/{taskmanagerid}/logs", "The log files of a TaskExecutor and its workers", logs::list_of),
    get!(Text "/taskmanagers/{taskmanagerid}/logs/{file}", "One of them, as text", logs::one_of),
    get!(Text "/taskmanagers/{taskmanagerid}/log", "What it wrote to standard error, as text", logs::log_of),
    get!(Text "/taskmanagers/{taskmanagerid}/stdout", "What it wrote to standard output, as text", logs::stdout_of),
    get!(Nothing "/taskmanagers/{taskmanagerid}/thread-dump", "Always 404: there is no JVM", logs::thread_dump),
    get!("/jobmanager/config", "What is set in the JobManager's configuration", processes::config),
    get!("/jobmanager/environment", "What the JobManager runs on", processes::environment),
    get!("/jobmanager/metrics", "Metrics of the JobManager", metrics::of_jobmanager,
        "get": "names of metrics, with commas; without it names are listed"),
    get!("/jobmanager/logs", "The log files of the JobManager", logs::list),
    get!(Text "/jobmanager/logs/{file}", "One of them, as text", logs::one),
    get!(Text "/jobmanager/log", "What the JobManager wrote to standard error, as text", logs::log),
    get!(Text "/jobmanager/stdout", "What it wrote to standard output, as text", logs::stdout),
    get!(Nothing "/jobmanager/thread-dump", "Always 404: there is no JVM", logs::thread_dump),
    get!("/jars", "Programs that were uploaded", jars::list),
    route!(POST "/jars/upload", "Uploads a program: an executable that links flinkrs", File => Json, jars::upload),
    route!(POST "/jars/{jarid}/run", "Starts an uploaded program, which submits its job", Json => Json, jars::run,
        "parallelism": "as in the body", "program-args": "as programArgs",
        "programArg": "as programArgsList, with commas",
        "entry-class": "ignored: an executable has one"),
    route!(DELETE "/jars/{jarid}", "Forgets an uploaded program", Nothing => Json, jars::delete),
];
