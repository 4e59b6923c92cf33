//! Programs on a cluster: what they execute is planned here, submitted, followed, and its results taken back.

mod connection;
mod follow;
mod submit;

pub(crate) use submit::Submitter;

use flinkrs_api::{JobExecutionResult, LoopResult};
use flinkrs_core::types::hash_key;
use flinkrs_plan::{OperatorKind, Plan};
use flinkrs_protocol::OperatorPrint;
use flinkrs_rpc::body;
use flinkrs_rpc::message::ExecutionResult;
use flinkrs_runtime::LoopReport;

/// The operators of a plan in short, by which processes see whether they have built the same.
pub(crate) fn prints(plan: &Plan) -> Vec<OperatorPrint> {
    let print = |operator: &flinkrs_plan::PlanOperator| {
        let kind = match &operator.kind {
            // What there is to read is for the client to find out.
            OperatorKind::Source { .. } => "Source".to_owned(),
            kind => format!("{kind:?}"),
        };
        let inputs: Vec<u32> = operator.inputs.iter().map(|input| input.0).collect();
        let hash = hash_key(&(operator.id.0, kind, inputs, &operator.broadcast_inputs, &operator.output_type));
        OperatorPrint { name: operator.name.clone(), hash }
    };
    plan.operators.iter().map(print).collect()
}

/// The result of an execution as a program gets it.
pub(crate) fn result_of(job_name: String, result: ExecutionResult) -> JobExecutionResult {
    let loops = loops_of(&result.loops).into_iter().map(|of| LoopResult {
        supersteps: of.superstep(),
        converged: of.converged,
        name: of.name,
    });
    let loops = loops.collect();
    JobExecutionResult { job_name, net_runtime: result.runtime, accumulators: result.accumulators, loops }
}

/// Reports of loops, in the order of the graph.
fn loops_of(encoded: &[(u32, Vec<u8>)]) -> Vec<LoopReport> {
    encoded.iter().filter_map(|(_, report)| body::decode(report).ok()).collect()
}
