//! The environment in which a program describes its data flow and runs it.

use crate::dataset::{DataSet, SortSpec};
use crate::program::{Code, Program};
use flinkrs_core::config::{Configuration, execution};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::{AccumulatorValue, FunctionSource};
use flinkrs_core::id::OperatorId;
use flinkrs_core::resource::ByteSize;
use flinkrs_core::types::{Data, KeyField, KeySelector, codec};
use flinkrs_plan::{
    ChainingPolicy, ForwardedFields, KeySpec, OperatorKind, Plan, PlanOperator, SizeHints, SortField, SortOrder,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Splits per subtask that a source is asked for, so that a slow subtask takes fewer.
const SPLITS_PER_SUBTASK: usize = 4;

/// What an execution leaves behind.
#[derive(Clone, Debug, Default)]
pub struct JobExecutionResult {
    /// The job's name.
    pub job_name: String,
    /// From deployment to the end of the last task.
    pub net_runtime: Duration,
    /// Accumulators, merged over all subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// How the loops ended.
    pub loops: Vec<LoopResult>,
}

/// How a loop ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopResult {
    /// The name of the operator that closes it.
    pub name: String,
    /// How many supersteps it had.
    pub supersteps: u32,
    /// Whether it ended by itself: by its criterion, its termination data set, or an empty workset. Otherwise the
    /// greatest number of supersteps ended it.
    pub converged: bool,
}

/// Runs plans: in this process, on a cluster, or not at all when only the plan is wanted.
pub trait Executor: Send + Sync {
    /// Whether plans need the splits of their sources; where others have planned, no source is looked at.
    fn enumerates(&self) -> bool {
        true
    }

    /// What `make` makes, or what it has made in the process that the others follow: values are told apart by the order
    /// of calls.
    ///
    /// Errors when `make` does, and where the others have no such value.
    fn once(&self, make: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        make()
    }

    /// Runs the sinks of `plan` with the code of `program` and waits for the end.
    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult>;
}

/// Where a program reads its inputs and executes what it has described; cloning gives another handle to the same.
#[derive(Clone)]
pub struct ExecutionEnvironment {
    state: Arc<Mutex<State>>,
    executor: Arc<dyn Executor>,
}

struct State {
    operators: Vec<PlanOperator>,
    program: Program,
    /// Sinks that no execution has run yet.
    sinks: Vec<OperatorId>,
    parallelism: u32,
    collect_limit: ByteSize,
    /// Numbers for keys that equal only themselves.
    captured_keys: u64,
}

impl ExecutionEnvironment {
    /// An environment whose operators run in `parallelism` subtasks unless they say otherwise.
    pub fn new(parallelism: u32, executor: Arc<dyn Executor>) -> ExecutionEnvironment {
        let state = State {
            operators: Vec::new(),
            program: Program::default(),
            sinks: Vec::new(),
            parallelism,
            collect_limit: Configuration::default().get(&execution::COLLECT_LIMIT),
            captured_keys: 0,
        };
        ExecutionEnvironment { state: Arc::new(Mutex::new(state)), executor }
    }

    /// The parallelism of operators that set none.
    pub fn parallelism(&self) -> u32 {
        self.state().parallelism
    }

    /// Sets the parallelism of operators that set none.
    pub fn set_parallelism(&self, parallelism: u32) {
        self.state().parallelism = parallelism;
    }

    /// Sets how much memory the records of one [`collect`](DataSet::collect) may take; 4 GB unless it is set.
    pub fn set_collect_limit(&self, limit: ByteSize) {
        self.state().collect_limit = limit;
    }

    pub(crate) fn collect_limit(&self) -> ByteSize {
        self.state().collect_limit
    }

    /// A value that may differ between processes, such as the time, a random number, or what a file says: `make` is
    /// called in the program's own process, and all processes that run its tasks get what it returned there.
    ///
    /// A plan, and what closures capture, may depend on such a value; see `docs/cluster.md`. All processes have to ask
    /// for the same values in the same order.
    ///
    /// Errors when the values of a program have more than 16 MiB together.
    ///
    /// ```
    /// # use flinkrs_api::{DataSet, ExecutionEnvironment};
    /// # fn describe(env: &ExecutionEnvironment, numbers: &DataSet<u32>) -> flinkrs_core::Result<()> {
    /// let seed = env.once(|| std::process::id())?;
    /// let mixed = numbers.map(move |n| n ^ seed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn once<T: Data>(&self, make: impl FnOnce() -> T) -> Result<T> {
        let mut make = Some(make);
        let mut encoded = || {
            let make = make.take().ok_or_else(|| Error::internal("a value is made twice"))?;
            let mut bytes = Vec::new();
            codec::encode(&[make()], &mut bytes)?;
            Ok(bytes)
        };
        let bytes = self.executor.once(&mut encoded)?;
        let values: Vec<T> = codec::decode(&bytes)?;
        values.into_iter().next().ok_or_else(|| Error::internal("a value without a value"))
    }

    /// Runs all sinks defined since the last execution, and waits for the end.
    ///
    /// Errors when there is no such sink, when the plan is wrong, or when the job fails.
    pub fn execute(&self, job_name: &str) -> Result<JobExecutionResult> {
        let sinks = std::mem::take(&mut self.state().sinks);
        let (plan, program) = self.plan(job_name, sinks)?;
        self.executor.execute(plan, Arc::new(program))
    }

    /// The plan for `sinks`, with the splits of its sources enumerated, and the code for it.
    fn plan(&self, name: &str, sinks: Vec<OperatorId>) -> Result<(Plan, Program)> {
        let state = self.state();
        let (operators, program) = (state.operators.clone(), state.program.clone());
        let mut plan = Plan { name: name.to_owned(), default_parallelism: state.parallelism, operators, sinks };
        drop(state);
        plan.validate()?;
        for id in plan.reachable().into_iter().filter(|_| self.executor.enumerates()) {
            let wanted = plan.parallelism(id) as usize * SPLITS_PER_SUBTASK;
            if let OperatorKind::Source { splits, statistics } = &mut plan.operators[id.0 as usize].kind {
                (*splits, *statistics) = program.code(id)?.enumerate(wanted)?;
            }
        }
        Ok((plan, program))
    }

    /// Adds an operator that makes records of type `T`.
    pub(crate) fn add<T: Data>(
        &self,
        name: &str,
        kind: OperatorKind,
        inputs: &[OperatorId],
        code: impl Code + 'static,
    ) -> DataSet<T> {
        let mut state = self.state();
        let id = OperatorId(u32::try_from(state.operators.len()).expect("fewer than four billion operators"));
        let all = matches!(kind, OperatorKind::Filter | OperatorKind::Partition { .. } | OperatorKind::Limit { .. })
            || matches!(kind, OperatorKind::SortPartition { .. } | OperatorKind::Union | OperatorKind::Distinct { .. })
            || matches!(kind, OperatorKind::LoopInput | OperatorKind::SolutionSet { .. });
        let forwarded = if all { ForwardedFields::all() } else { ForwardedFields::none() };
        state.operators.push(PlanOperator {
            id,
            name: name.to_owned(),
            uid: None,
            forwarded: vec![forwarded; inputs.len()],
            kind,
            inputs: inputs.to_vec(),
            broadcast_inputs: Vec::new(),
            parallelism: None,
            slot_sharing_group: None,
            hints: SizeHints::default(),
            chaining: ChainingPolicy::default(),
            output_type: short_type_name(std::any::type_name::<T>()),
            output_bytes: size_of::<T>() as f64,
        });
        state.program.add::<T>(Arc::new(code));
        drop(state);
        DataSet::new(self.clone(), id)
    }

    /// Marks an operator as a sink to be run by the next execution.
    pub(crate) fn add_sink(&self, id: OperatorId) {
        self.state().sinks.push(id);
    }

    /// Changes the descriptor of an operator.
    pub(crate) fn change(&self, id: OperatorId, change: impl FnOnce(&mut PlanOperator)) {
        change(&mut self.state().operators[id.0 as usize]);
    }

    /// The parallelism that the program gave an operator.
    pub(crate) fn explicit_parallelism(&self, id: OperatorId) -> Option<u32> {
        self.state().operators[id.0 as usize].parallelism
    }

    /// Adds a broadcast set of `T` to an operator.
    pub(crate) fn add_broadcast_set<T: Data>(&self, id: OperatorId, name: &str, set: OperatorId) {
        let mut state = self.state();
        state.operators[id.0 as usize].broadcast_inputs.push((name.to_owned(), set));
        state.program.add_broadcast_set::<T>(id);
    }

    /// A key as the optimizer compares it.
    pub(crate) fn key_spec<T, S: KeySelector<T>>(&self, selector: &S) -> KeySpec {
        selector.identity().unwrap_or_else(|| {
            let mut state = self.state();
            state.captured_keys += 1;
            vec![KeyField::Captured(state.captured_keys)]
        })
    }

    /// An order as the optimizer compares it.
    pub(crate) fn order_spec<T, P: SortSpec<T>>(&self, order: &P) -> Vec<SortField> {
        order.fields().unwrap_or_else(|| {
            let mut state = self.state();
            state.captured_keys += 1;
            let field = KeyField::Captured(state.captured_keys);
            vec![SortField { field, order: SortOrder::Ascending }]
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A type's name without the paths of its crates.
fn short_type_name(name: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    for c in name.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' {
            word.clear();
        } else {
            short.push_str(&word);
            word.clear();
            short.push(c);
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    #[test]
    fn type_names_lose_their_paths() {
        let name = "(flinkrs_core::types::text::Text, alloc::vec::Vec<u64>)";
        assert_eq!(super::short_type_name(name), "(Text, Vec<u64>)");
    }
}
