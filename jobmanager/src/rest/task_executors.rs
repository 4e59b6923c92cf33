//! TaskExecutors, which Flink calls TaskManagers at these paths.

use crate::cluster::Cluster;
use crate::rest::route::{Answer, Call, Context, Fault, ok};
use flinkrs_control::resource_manager::TaskExecutorView;
use flinkrs_protocol::{ApplicationId, JobId, NetworkUse, ProcessUse, WorkerUse};
use flinkrs_rpc::metrics::{self, Measure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What answers give memory in that Flink gives in mebibytes.
const MIB: u64 = 1 << 20;

/// A TaskExecutor, and what it has said that it uses.
pub(super) struct Seen {
    pub(super) view: TaskExecutorView,
    process: ProcessUse,
    workers: WorkerUse,
}

impl Seen {
    pub(super) fn measures(&self) -> Vec<Measure> {
        let of = &self.view.registration;
        metrics::of_task_executor(of.slots, of.slot_bytes, &self.process, &self.workers)
    }

    fn of(cluster: &Cluster, view: TaskExecutorView) -> Seen {
        let (process, workers) = cluster.used.get(&view.registration.task_executor).cloned().unwrap_or_default();
        Seen { view, process, workers }
    }
}

pub(super) async fn list(context: Arc<Context>, _: Call) -> Answer {
    ok(json!({ "taskmanagers": all(&context).await?.iter().map(value).collect::<Vec<_>>() }))
}

pub(super) async fn detail(context: Arc<Context>, call: Call) -> Answer {
    let id = call.at("taskmanagerid").to_owned();
    let executor = one(&context, &id).await?;
    let jobs: BTreeMap<ApplicationId, JobId> = context
        .look(|cluster| {
            let running = cluster.dispatcher.jobs().filter(|line| !line.state.is_terminal());
            running.map(|line| (line.application, line.job)).collect()
        })
        .await?;
    let slots = executor.view.slots.iter().flatten().filter_map(|application| jobs.get(application));
    let allocated: Vec<Value> = slots
        .map(|job| json!({ "jobId": job.to_string(), "resource": resource(1, executor.view.registration.slot_bytes) }))
        .collect();
    let mut detail = value(&executor);
    detail["allocatedSlots"] = allocated.into();
    detail["metrics"] = of_jvm(&executor.workers.network);
    ok(detail)
}

/// All TaskExecutors.
pub(super) async fn all(context: &Context) -> Result<Vec<Seen>, Fault> {
    let look = |cluster: &Cluster| {
        let executors = cluster.resources.view().task_executors;
        executors.into_iter().map(|view| Seen::of(cluster, view)).collect()
    };
    context.look(look).await
}

/// A TaskExecutor by its name.
pub(super) async fn one(context: &Context, id: &str) -> Result<Seen, Fault> {
    let name = id.to_owned();
    let look = move |cluster: &Cluster| {
        let mut executors = cluster.resources.view().task_executors.into_iter();
        let found = executors.find(|executor| *executor.registration.task_executor.0 == *name);
        found.map(|view| Seen::of(cluster, view))
    };
    context.look(look).await?.ok_or_else(|| Fault::missing(format!("there is no TaskExecutor '{id}'")))
}

fn value(seen: &Seen) -> Value {
    let executor = &seen.view;
    let of = &executor.registration;
    let free = executor.slots.iter().filter(|slot| slot.is_none()).count() as u64;
    let managed = of.slot_bytes * u64::from(of.slots);
    let port = of.data_address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    json!({
        "id": of.task_executor.to_string(),
        "path": &*of.data_address,
        "dataPort": port.map_or(-1, i32::from),
        "jmxPort": -1,
        // In spite of its name Flink gives the moment, in milliseconds since 1970.
        "timeSinceLastHeartbeat": executor.last_heartbeat.0,
        "slotsNumber": of.slots,
        "freeSlots": free,
        "totalResource": resource(u64::from(of.slots), managed),
        "freeResource": resource(free, of.slot_bytes * free),
        // Of a machine and a process only what a TaskExecutor says of itself is known.
        "hardware": { "cpuCores": of.slots, "physicalMemory": 0, "freeMemory": 0, "managedMemory": managed },
        "memoryConfiguration": {
            "frameworkHeap": 0,
            "taskHeap": 0,
            "frameworkOffHeap": 0,
            "taskOffHeap": 0,
            "networkMemory": seen.workers.network.total_bytes,
            "managedMemory": managed,
            "jvmMetaspace": 0,
            "jvmOverhead": 0,
            "totalFlinkMemory": managed,
            "totalProcessMemory": 0,
        },
    })
}

fn resource(slots: u64, managed: u64) -> Value {
    json!({
        "cpuCores": slots as f64,
        "taskHeapMemory": 0,
        "taskOffHeapMemory": 0,
        "managedMemory": managed / MIB,
        "networkMemory": 0,
        "extendedResources": {},
    })
}

/// There is no JVM; network memory is what its workers have.
fn of_jvm(network: &NetworkUse) -> Value {
    let none = [
        "heapUsed",
        "heapCommitted",
        "heapMax",
        "nonHeapUsed",
        "nonHeapCommitted",
        "nonHeapMax",
        "directCount",
        "directUsed",
        "directMax",
        "mappedCount",
        "mappedUsed",
        "mappedMax",
        "memorySegmentsAvailable",
        "memorySegmentsTotal",
        "nettyShuffleMemorySegmentsAvailable",
        "nettyShuffleMemorySegmentsUsed",
        "nettyShuffleMemorySegmentsTotal",
    ];
    let mut metrics: serde_json::Map<String, Value> =
        none.into_iter().map(|name| (name.to_owned(), json!(0))).collect();
    let used = network.credit_bytes + network.held_bytes + network.spare_bytes;
    metrics.insert("nettyShuffleMemoryTotal".to_owned(), json!(network.total_bytes));
    metrics.insert("nettyShuffleMemoryUsed".to_owned(), json!(used));
    metrics.insert("nettyShuffleMemoryAvailable".to_owned(), json!(network.total_bytes.saturating_sub(used)));
    metrics.insert("garbageCollectors".to_owned(), json!([]));
    metrics.into()
}
