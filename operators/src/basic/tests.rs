//! The small operators, each run by hand.

use super::*;
use crate::testing::{Gathered, batches, plain, run_with};
use crate::{MapPartitionOperator, Records};
use flinkrs_core::Error;
use flinkrs_core::element::Superstep;
use flinkrs_core::operator::{Input, Unwind};
use flinkrs_core::types::Text;

fn context() -> RuntimeContext {
    RuntimeContext::standalone(1 << 20, &std::env::temp_dir())
}

fn run<T: Data, U: Data>(mut operator: impl Operator, records: &[T]) -> Vec<U> {
    run_with::<U>(&mut operator, &context(), vec![batches(records, 700)]).expect("it works").records
}

#[test]
fn map_flat_map_and_filter() {
    let numbers: Vec<u64> = (0..3000).collect();
    let doubled: Vec<u64> = run(MapOperator::new(plain(|x: u64| 2 * x)), &numbers);
    assert!(doubled.iter().enumerate().all(|(i, x)| *x == 2 * i as u64) && doubled.len() == 3000);
    let texts: Vec<Text> = run(MapOperator::new(plain(|x: u64| Text::from(format!("number {x}")))), &numbers);
    assert_eq!(texts[2999], "number 2999");
    let wide: Vec<[u64; 32]> = run(MapOperator::new(plain(|x: u64| [x; 32])), &numbers);
    assert!(wide.len() == 3000 && wide[2999] == [2999; 32]);
    let twice = |x: u64, out: &mut Collector<'_, u64>| (0..x % 3).for_each(|_| out.collect(x));
    assert_eq!(run::<u64, u64>(FlatMapOperator::new(plain(twice)), &numbers).len(), 3000);
    let odd: Vec<u64> = run(FilterOperator::new(plain(|x: &u64| x % 2 == 1)), &numbers);
    assert_eq!(odd, (0..1500).map(|x| 2 * x + 1).collect::<Vec<_>>());
}

#[test]
fn map_batches_sees_the_batches() {
    let sums = |records: &mut Vec<u64>, out: &mut Collector<'_, u64>| out.collect(records.iter().sum());
    assert_eq!(run::<u64, u64>(MapBatchesOperator::new(plain(sums)), &[1; 1500]), [700, 700, 100]);
}

#[test]
fn limit_and_no_op() {
    assert_eq!(run::<u64, u64>(LimitOperator::<u64>::new(1000), &[5; 3000]).len(), 1000);
    assert_eq!(run::<u64, u64>(LimitOperator::<u64>::new(0), &[5; 3000]).len(), 0);
    assert_eq!(run::<u64, u64>(NoOpOperator, &[5; 3000]).len(), 3000);
    let mut limit = LimitOperator::<u64>::new(2);
    let mut out = Gathered::<u64> { records: Vec::new(), side: Vec::new() };
    for round in 1..3 {
        limit.process(0, &mut Batch::new(vec![1u64, 2, 3]), &mut out).expect("it works");
        limit.superstep_end(Superstep(round), &mut out).expect("it works");
    }
    assert_eq!(out.records, [1, 2, 1, 2]);
}

#[test]
fn a_rich_function_is_made_with_its_context_and_may_fail() {
    let make: Make<_> = Box::new(|context: &RuntimeContext| {
        let index = u64::from(context.subtask.index);
        Ok(move |x: u64| x + index)
    });
    let mut context = context();
    context.subtask.index = 7;
    let mut operator = MapOperator::new(make);
    let out = run_with::<u64>(&mut operator, &context, vec![batches(&[1u64], 1)]).expect("it works");
    assert_eq!(out.records, [8]);
    let make: Make<fn(&u64) -> bool> = Box::new(|_| Err(Error::function("no model file")));
    let error = FilterOperator::new(make).open(&context).expect_err("the function can't be made");
    assert_eq!(error.to_string(), "no model file");
}

/// An input of two batches that then fails or ends.
struct Two {
    left: u64,
    fails: bool,
}

impl Input for Two {
    fn next(&mut self) -> Result<Option<Batch>> {
        if self.left == 0 {
            return if self.fails { Err(Error::Cancelled) } else { Ok(None) };
        }
        self.left -= 1;
        Ok(Some(Batch::new(if self.left == 1 { vec![1u64, 2, 3] } else { Vec::new() })))
    }
}

#[test]
fn map_partition_pulls_in_order_and_unwinds_with_the_inputs_error() {
    let sum = |records: &mut Records<'_, u64>, out: &mut Collector<'_, Vec<u64>>| {
        out.collect(records.collect());
        assert!(records.next().is_none(), "the end stays the end");
    };
    let mut operator = MapPartitionOperator::new(plain(sum));
    operator.open(&context()).expect("it opens");
    let mut out = Gathered::<Vec<u64>> { records: Vec::new(), side: Vec::new() };
    let pull = operator.as_pull().expect("map_partition pulls");
    pull.run(&mut Two { left: 2, fails: false }, &mut out).expect("it works");
    assert_eq!(out.records, [vec![1, 2, 3]]);

    let mut operator = MapPartitionOperator::new(plain(sum));
    operator.open(&context()).expect("it opens");
    let run = std::panic::AssertUnwindSafe(|| {
        operator.as_pull().expect("map_partition pulls").run(&mut Two { left: 2, fails: true }, &mut out)
    });
    let payload = std::panic::catch_unwind(run).expect_err("the error unwinds");
    let Unwind(error) = *payload.downcast::<Unwind>().expect("with the error inside");
    assert!(matches!(error, Error::Cancelled));
}
