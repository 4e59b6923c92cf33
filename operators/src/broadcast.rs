//! Gathers the records of a broadcast set.

use flinkrs_core::Batch;
use flinkrs_core::function::BroadcastBuilder;
use flinkrs_core::types::{Data, own_heap};
use std::any::Any;
use std::sync::Arc;

/// Builds the `Arc<Vec<T>>` that [`RuntimeContext::broadcast_set`](flinkrs_core::RuntimeContext::broadcast_set) gives
/// out.
#[derive(Debug)]
pub struct BroadcastVec<T>(Vec<T>);

impl<T: Data> BroadcastVec<T> {
    /// An empty set.
    pub fn new() -> Self {
        BroadcastVec(Vec::new())
    }
}

impl<T: Data> Default for BroadcastVec<T> {
    fn default() -> Self {
        BroadcastVec::new()
    }
}

impl<T: Data> BroadcastBuilder for BroadcastVec<T> {
    fn add(&mut self, mut batch: Batch) {
        let records = batch.records::<T>();
        records.iter_mut().for_each(|record| _ = own_heap(record));
        self.0.append(records);
    }

    fn finish(&mut self) -> Arc<dyn Any + Send + Sync> {
        let mut records = std::mem::take(&mut self.0);
        records.shrink_to_fit();
        Arc::new(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::RuntimeContext;

    #[test]
    fn builds_what_the_context_gives_out() {
        let mut set: Box<dyn BroadcastBuilder> = Box::new(BroadcastVec::<String>::new());
        set.add(Batch::new(vec!["a".to_owned()]));
        set.add(Batch::new(vec!["b".to_owned(), "c".to_owned()]));
        let mut context = RuntimeContext::standalone(1 << 10, &std::env::temp_dir());
        context.broadcast_sets.insert("letters".to_owned(), set.finish());
        assert_eq!(*context.broadcast_set::<String>("letters").expect("it is there"), ["a", "b", "c"]);
    }
}
