//! What the engine's programs with loops share.

use std::sync::Arc;

use flinkrs::prelude::*;

/// The records of a vector that is in memory already, each subtask some of them.
pub fn in_memory<T: Data + Copy>(env: &ExecutionEnvironment, records: &Arc<Vec<T>>) -> DataSet<T> {
    let all = Arc::clone(records);
    let part = move |split: usize, splits: usize| {
        let bound = |split: usize| all.len() * split / splits;
        let (range, all) = (bound(split)..bound(split + 1), Arc::clone(&all));
        range.map(move |record| all[record])
    };
    env.create_input(IteratorInput::new(part)).with_records(records.len() as u64).name("InMemory")
}

/// The error of a program whose input can't be read.
pub fn failed(message: String) -> Error {
    Error::data(message)
}
