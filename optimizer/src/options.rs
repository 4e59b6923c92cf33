//! What the optimizer is told besides the plan: memory, cost weights, and choices that are pinned.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, ShipStrategy};
use flinkrs_plan::Plan;

/// The optimizer's options.
///
/// Costs are nanoseconds of work, summed over all subtasks: the weights turn the bytes of a
/// [`Cost`](crate::Cost) into nanoseconds and may be tuned to a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerOptions {
    /// Managed memory of one slot in bytes. What doesn't fit is charged the disk cost of spilling. Default 256 MiB.
    pub memory_bytes: u64,
    /// Nanoseconds per byte that crosses an exchange. Default 1, which is 1 GB/s, a 10 Gbit/s link.
    pub network_weight: f64,
    /// Nanoseconds per byte written to or read from local disk. Default 1, a fast disk or a cached file.
    pub disk_weight: f64,
    /// Nanoseconds per unit of CPU cost. Default 1: the constants of the model are nanoseconds.
    pub cpu_weight: f64,
    /// Whether exchanges outside of loops are BLOCKING (Flink's ALL_EXCHANGES_BLOCKING): a failure then repeats what
    /// reads them, and not what has written them. Default no.
    pub blocking_exchanges: bool,
    /// Choices that are made already; everything else is still chosen by cost. Default none.
    pub force: Vec<Force>,
}

impl Default for OptimizerOptions {
    fn default() -> OptimizerOptions {
        OptimizerOptions {
            memory_bytes: 256 << 20,
            network_weight: 1.0,
            disk_weight: 1.0,
            cpu_weight: 1.0,
            blocking_exchanges: false,
            force: Vec::new(),
        }
    }
}

impl OptimizerOptions {
    /// Options for jobs that run inside one process, where batches move by pointer: what a shipped byte costs there is
    /// that another core reads it, 0.1 ns.
    pub fn in_process() -> OptimizerOptions {
        OptimizerOptions { network_weight: 0.1, ..OptimizerOptions::default() }
    }
}

/// Pins one choice of one operator, for tests and benchmarks that compare a plan with the other one.
///
/// A pin that no valid plan satisfies is an error that names the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// How the records of an input travel.
    Ship {
        /// The consumer.
        operator: OperatorId,
        /// Which of its inputs.
        input: u8,
        /// The strategy.
        ship: ShipStrategy,
    },
    /// How the operator works. Of a [`DriverStrategy::Merge`] only the kind counts: what is sorted follows from
    /// the inputs.
    Driver {
        /// The operator.
        operator: OperatorId,
        /// The strategy.
        driver: DriverStrategy,
    },
    /// Whether the operator pre-aggregates before its shuffle.
    Combiner {
        /// The reduce, distinct or group reduce.
        operator: OperatorId,
        /// With or without.
        combine: bool,
    },
}

impl Force {
    /// The operator whose choice is pinned.
    pub fn operator(&self) -> OperatorId {
        match *self {
            Force::Ship { operator, .. } | Force::Driver { operator, .. } | Force::Combiner { operator, .. } => {
                operator
            }
        }
    }
}

/// Checks that weights are numbers to compare by and that pins name operators of the plan.
pub(crate) fn validate(options: &OptimizerOptions, plan: &Plan) -> Result<()> {
    let weights = [
        ("network_weight", options.network_weight),
        ("disk_weight", options.disk_weight),
        ("cpu_weight", options.cpu_weight),
    ];
    for (name, weight) in weights {
        if !weight.is_finite() || weight < 0.0 {
            return Err(Error::usage(format!("{name} is {weight}; it has to be a number of at least 0")));
        }
    }
    for force in &options.force {
        if force.operator().0 as usize >= plan.operators.len() {
            return Err(Error::usage(format!(
                "a choice is forced for operator {}, but the plan has only {} operators",
                force.operator(),
                plan.operators.len()
            )));
        }
    }
    Ok(())
}
