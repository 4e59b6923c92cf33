//! Everything a program needs: `use flinkrs::prelude::*`.

pub use crate::{CommonOptions, Error, LocalEnvironment, Result};
pub use flinkrs_api::{
    Aggregation, Asc, DataSet, Desc, ExecutionEnvironment, JobExecutionResult, LoopResult, Max, Min, Sum, Summable,
};
pub use flinkrs_connectors::*;
pub use flinkrs_core::function::{AccumulatorValue, RuntimeContext};
pub use flinkrs_core::types::{Data, Field, Key, KeySelector, Text, Total, words};
pub use flinkrs_core::types::{f0, f1, f2, f3, f4, f5, f6, f7, f8, f9};
pub use flinkrs_core::{Collector, field};
pub use flinkrs_operators::{Group, Records};
pub use flinkrs_plan::{CombineHint, JoinHint};
pub use std::process::ExitCode;
