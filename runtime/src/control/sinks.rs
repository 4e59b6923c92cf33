//! What the sinks of a job do as a whole: begin, and commit or abort, in one process.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::FunctionSource;
use flinkrs_core::id::OperatorId;
use flinkrs_core::sink::{CommitContext, Committer};
use flinkrs_core::strategy::Part;
use flinkrs_protocol::JobGraph;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sinks of a job whose output becomes visible at its end.
pub struct Sinks {
    job: Arc<str>,
    sinks: Vec<Sink>,
}

struct Sink {
    operator: OperatorId,
    name: String,
    committer: Arc<dyn Committer>,
    /// By subtask, the attempt that has finished.
    attempts: Vec<u32>,
}

impl Sinks {
    /// Those of `graph`; `job` is the execution's token, the same in all of its processes.
    pub fn new(graph: &JobGraph, functions: &dyn FunctionSource, job: &Arc<str>) -> Sinks {
        let chained = graph.vertices.iter().flat_map(|vertex| vertex.chain.iter().map(move |op| (vertex, op)));
        let sinks = chained.filter(|(_, op)| matches!(op.part, Part::Driver(_))).filter_map(|(vertex, op)| {
            let committer = functions.committer(op.operator)?;
            let attempts = vec![0; vertex.parallelism as usize];
            Some(Sink { operator: op.operator, name: op.name.clone(), committer, attempts })
        });
        Sinks { job: Arc::clone(job), sinks: sinks.collect() }
    }

    /// Says which attempts of a sink's subtasks have finished; without a word it is the first of each.
    pub fn finished(&mut self, attempts: &BTreeMap<OperatorId, Vec<u32>>) {
        for sink in &mut self.sinks {
            if let Some(attempts) = attempts.get(&sink.operator) {
                sink.attempts.clone_from(attempts);
            }
        }
    }

    /// Asks every sink whether it can write; if one can't, the others are aborted.
    pub fn begin(&self) -> Result<()> {
        for sink in &self.sinks {
            if let Err(error) = sink.committer.begin(&sink.context(&self.job)) {
                self.abort();
                return Err(match error {
                    Error::Data { message } => Error::data(format!("sink '{}': {message}", sink.name)),
                    other => other,
                });
            }
        }
        Ok(())
    }

    /// Makes all output visible; if a sink can't, what it and those after it wrote is removed.
    pub fn commit(&self) -> Result<()> {
        for (i, sink) in self.sinks.iter().enumerate() {
            if let Err(error) = sink.committer.commit(&sink.context(&self.job)) {
                self.sinks[i..].iter().for_each(|sink| sink.committer.abort(&sink.context(&self.job)));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes what was written.
    pub fn abort(&self) {
        self.sinks.iter().for_each(|sink| sink.committer.abort(&sink.context(&self.job)));
    }
}

impl Sink {
    fn context<'a>(&'a self, job: &'a str) -> CommitContext<'a> {
        CommitContext { job, attempts: &self.attempts }
    }
}
