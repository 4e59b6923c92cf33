//! TaskExecutors, which Flink calls TaskManagers at these paths.

use crate::rest::route::{Answer, Call, Context, Fault, ok};
use flinkrs_control::resource_manager::TaskExecutorView;
use flinkrs_protocol::{ApplicationId, JobId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What answers give memory in that Flink gives in mebibytes.
const MIB: u64 = 1 << 20;

pub(super) async fn list(context: Arc<Context>, _: Call) -> Answer {
    let view = context.look(|cluster| cluster.resources.view()).await?;
    ok(json!({ "taskmanagers": view.task_executors.iter().map(value).collect::<Vec<_>>() }))
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
    let slots = executor.slots.iter().flatten().filter_map(|application| jobs.get(application));
    let allocated: Vec<Value> = slots
        .map(|job| json!({ "jobId": job.to_string(), "resource": resource(1, executor.registration.slot_bytes) }))
        .collect();
    let mut detail = value(&executor);
    detail["allocatedSlots"] = allocated.into();
    detail["metrics"] = metrics();
    ok(detail)
}

/// A TaskExecutor by its name.
pub(super) async fn one(context: &Context, id: &str) -> Result<TaskExecutorView, Fault> {
    let view = context.look(|cluster| cluster.resources.view()).await?;
    let mut executors = view.task_executors.into_iter();
    let found = executors.find(|executor| *executor.registration.task_executor.0 == *id);
    found.ok_or_else(|| Fault::missing(format!("there is no TaskExecutor '{id}'")))
}

fn value(executor: &TaskExecutorView) -> Value {
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
            "networkMemory": 0,
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

/// There is no JVM.
fn metrics() -> Value {
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
        "nettyShuffleMemoryAvailable",
        "nettyShuffleMemoryUsed",
        "nettyShuffleMemoryTotal",
    ];
    let mut metrics: serde_json::Map<String, Value> =
        none.into_iter().map(|name| (name.to_owned(), json!(0))).collect();
    metrics.insert("garbageCollectors".to_owned(), json!([]));
    metrics.into()
}
