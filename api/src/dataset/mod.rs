//! [`DataSet`]: a handle to the output of an operator of the plan, and what can be said of that operator.

mod aggregate;
mod cogroup;
mod cross;
mod group;
mod index;
mod iterate;
mod join;
mod order;
mod output;
mod partition;
mod results;
mod sample;
mod source;
mod transform;

pub use aggregate::{Aggregation, Max, Min, Sum, Summable};
pub use cogroup::{CoGroupOn, CoGrouped};
pub use cross::CrossPair;
pub use group::Grouped;
pub use iterate::{BulkIteration, DeltaIteration};
pub use join::{JoinOn, JoinPair, Joined, OuterKind};
pub use order::{Asc, Desc, SortSpec};

use crate::environment::ExecutionEnvironment;
use flinkrs_core::id::OperatorId;
use flinkrs_core::types::{Data, KeyField};
use flinkrs_plan::{ChainingPolicy, ForwardedFields};
use std::marker::PhantomData;

/// Records of one type, distributed over subtasks: the output of an operator. A cheap handle; nothing is computed
/// before an execution.
pub struct DataSet<T> {
    pub(crate) env: ExecutionEnvironment,
    pub(crate) id: OperatorId,
    records: PhantomData<fn() -> T>,
}

impl<T> Clone for DataSet<T> {
    fn clone(&self) -> DataSet<T> {
        DataSet { env: self.env.clone(), id: self.id, records: PhantomData }
    }
}

impl<T: Data> DataSet<T> {
    pub(crate) fn new(env: ExecutionEnvironment, id: OperatorId) -> DataSet<T> {
        DataSet { env, id, records: PhantomData }
    }

    /// The environment that the data set belongs to.
    pub fn environment(&self) -> &ExecutionEnvironment {
        &self.env
    }

    /// Names the operator in plans, metrics and errors.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.env.change(self.id, |operator| name.clone_into(&mut operator.name));
        self
    }

    /// Gives the operator a name that stays when the program changes.
    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.env.change(self.id, |operator| operator.uid = Some(uid.to_owned()));
        self
    }

    /// Sets the operator's parallelism; 0 is an error at execution.
    #[must_use]
    pub fn parallelism(self, parallelism: u32) -> Self {
        self.env.change(self.id, |operator| operator.parallelism = Some(parallelism));
        self
    }

    /// Puts the operator into a slot sharing group. On a cluster operators of different groups share no slot, so that a
    /// demanding one has the memory of slots of its own; the job needs as many slots as the largest operators of its
    /// groups have subtasks, in sum. In one process groups change nothing.
    ///
    /// An operator without a group of its own is in that of its inputs, if they are all in the same, and in the group
    /// `default` otherwise, as sources are. All of a loop is in the group of what it begins with.
    #[must_use]
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.env.change(self.id, |operator| operator.slot_sharing_group = Some(group.to_owned()));
        self
    }

    /// Lets each subtask of the operator see all of `set` as
    /// [`RuntimeContext::broadcast_set`](flinkrs_core::RuntimeContext::broadcast_set) of that name.
    #[must_use]
    pub fn with_broadcast_set<B: Data>(self, set: &DataSet<B>, name: &str) -> Self {
        self.env.add_broadcast_set::<B>(self.id, name, set.id);
        self
    }

    /// Says how many records the operator makes, for the optimizer.
    #[must_use]
    pub fn with_records(self, records: u64) -> Self {
        self.env.change(self.id, |operator| operator.hints.records = Some(records as f64));
        self
    }

    /// Says how many records the operator makes of each input record, for the optimizer.
    #[must_use]
    pub fn with_selectivity(self, selectivity: f64) -> Self {
        self.env.change(self.id, |operator| operator.hints.selectivity = Some(selectivity));
        self
    }

    /// Says how many bytes a record takes on average, for the optimizer.
    #[must_use]
    pub fn with_record_bytes(self, bytes: f64) -> Self {
        self.env.change(self.id, |operator| operator.hints.record_bytes = Some(bytes));
        self
    }

    /// Says how many distinct keys the operator's grouping or join has, for the optimizer.
    #[must_use]
    pub fn with_distinct_keys(self, keys: u64) -> Self {
        self.env.change(self.id, |operator| operator.hints.distinct_keys = Some(keys as f64));
        self
    }

    /// Says which fields the operator's function passes on unchanged, as Flink writes it: `"f0"` keeps its place,
    /// `"f0->f1"` moves, `"*"` is every field; several are separated by semicolons. A wrong statement gives wrong
    /// results.
    #[must_use]
    pub fn with_forwarded_fields(self, fields: &str) -> Self {
        self.forwarded(0, fields)
    }

    /// As [`DataSet::with_forwarded_fields`], for the first input of a binary operator.
    #[must_use]
    pub fn with_forwarded_fields_first(self, fields: &str) -> Self {
        self.forwarded(0, fields)
    }

    /// As [`DataSet::with_forwarded_fields`], for the second input of a binary operator.
    #[must_use]
    pub fn with_forwarded_fields_second(self, fields: &str) -> Self {
        self.forwarded(1, fields)
    }

    fn forwarded(self, input: usize, fields: &str) -> Self {
        self.env.change(self.id, |operator| {
            if let Some(forwarded) = operator.forwarded.get_mut(input) {
                add_forwarded(forwarded, fields);
            }
        });
        self
    }

    /// Makes the operator the first of its task.
    #[must_use]
    pub fn start_new_chain(self) -> Self {
        self.env.change(self.id, |operator| operator.chaining = ChainingPolicy::StartNewChain);
        self
    }

    /// Makes the operator the only one of its task.
    #[must_use]
    pub fn disable_chaining(self) -> Self {
        self.env.change(self.id, |operator| operator.chaining = ChainingPolicy::Never);
        self
    }
}

fn add_forwarded(forwarded: &mut ForwardedFields, text: &str) {
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        if part == "*" {
            forwarded.all = true;
            continue;
        }
        let (from, to) = part.split_once("->").unwrap_or((part, part));
        forwarded.fields.push((field(from), field(to)));
    }
}

/// `f0` is position 0 of a tuple; anything else is a field's name.
fn field(text: &str) -> KeyField {
    let text = text.trim();
    let position = text.strip_prefix('f').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    KeyField::Path(if text == "*" { String::new() } else { position.unwrap_or(text).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_forwarded_fields_as_flink_writes_them() {
        let mut forwarded = ForwardedFields::none();
        add_forwarded(&mut forwarded, "f0; f1->f2 ; name->person.name");
        let path = |path: &str| KeyField::Path(path.into());
        let expected = [(path("0"), path("0")), (path("1"), path("2")), (path("name"), path("person.name"))];
        assert_eq!(forwarded.fields, expected);
    }
}
