//! The plan itself: operators in the order in which the program built them.

use crate::operator::{OperatorKind, PlanOperator};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use serde::{Deserialize, Serialize};

/// A logical plan: every operator comes after its inputs, sinks are the roots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The job's name.
    pub name: String,
    /// The parallelism of operators that set none; at least 1.
    pub default_parallelism: u32,
    /// Inputs before consumers; an operator's id is its position.
    pub operators: Vec<PlanOperator>,
    /// The sinks to run, in the order in which the program defined them.
    pub sinks: Vec<OperatorId>,
}

impl Plan {
    /// The operator with that id.
    pub fn operator(&self, id: OperatorId) -> &PlanOperator {
        &self.operators[id.0 as usize]
    }

    /// The parallelism of an operator.
    pub fn parallelism(&self, id: OperatorId) -> u32 {
        self.operator(id).parallelism.unwrap_or(self.default_parallelism)
    }

    /// The operators that the sinks need, inputs before consumers.
    pub fn reachable(&self) -> Vec<OperatorId> {
        let mut needed = vec![false; self.operators.len()];
        for sink in &self.sinks {
            needed[sink.0 as usize] = true;
        }
        for operator in self.operators.iter().rev() {
            if needed[operator.id.0 as usize] {
                for input in operator.inputs.iter().chain(operator.broadcast_inputs.iter().map(|(_, id)| id)) {
                    needed[input.0 as usize] = true;
                }
            }
        }
        self.operators.iter().map(|operator| operator.id).filter(|id| needed[id.0 as usize]).collect()
    }

    /// Checks what the optimizer relies on; an error names the operator.
    pub fn validate(&self) -> Result<()> {
        if self.sinks.is_empty() {
            return Err(Error::plan(
                "the program has no sink to run: write, collect, count or print a data set before executing",
            ));
        }
        if self.default_parallelism == 0 {
            return Err(Error::usage("parallelism is 0; it has to be at least 1"));
        }
        for (i, operator) in self.operators.iter().enumerate() {
            let wrong = |what: &str| Err(Error::plan(format!("operator '{}' {what}", operator.name)));
            if operator.id.0 as usize != i || operator.inputs.iter().any(|input| input.0 as usize >= i) {
                return wrong("is used before it is built");
            }
            if operator.parallelism == Some(0) {
                return wrong("has parallelism 0; it has to be at least 1");
            }
            let inputs = match operator.kind {
                OperatorKind::Source { .. } => 0..=0,
                OperatorKind::Join { .. } | OperatorKind::CoGroup { .. } | OperatorKind::Cross { .. } => 2..=2,
                OperatorKind::LoopInput | OperatorKind::BulkIteration { .. } | OperatorKind::DeltaIteration { .. } => {
                    1..=2
                }
                OperatorKind::Union => 1..=usize::MAX,
                _ => 1..=1,
            };
            if !inputs.contains(&operator.inputs.len()) {
                return wrong("has the wrong number of inputs");
            }
        }
        Ok(())
    }
}
