//! Record by record, batch by batch, partition by partition; rich functions; unions.

use crate::{Rec, env, everywhere, everywhere_twice, records, same};
use flinkrs::prelude::*;

#[test]
fn map() {
    everywhere(|env, data| {
        let got = env.from_collection(data.to_vec()).map(|(a, b, c)| (b, a + 1, c.len() as u64));
        same(got.collect().unwrap(), data.iter().map(|(a, b, c)| (*b, a + 1, c.len() as u64)).collect());
    });
}

#[test]
fn flat_map() {
    everywhere(|env, data| {
        let got =
            env.from_collection(data.to_vec()).flat_map(|(a, b, _), out| (0..a % 4).for_each(|i| out.collect((i, b))));
        let expected = data.iter().flat_map(|(a, b, _)| (0..a % 4).map(move |i| (i, *b)));
        same(got.collect().unwrap(), expected.collect());
    });
}

#[test]
fn a_flat_map_may_make_very_many_records_of_one() {
    for parallelism in [1, 3, 8] {
        let many =
            env(parallelism).from_collection([5u64]).flat_map(|_, out| (0..300_000u64).for_each(|i| out.collect(i)));
        let sum = many.rebalance().map(|i| (i, 1u64)).sum(f0).sum(f1);
        assert_eq!(sum.collect().unwrap()[0].0, 299_999 * 150_000);
    }
}

#[test]
fn filter() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        same(input.filter(|r| r.1 > 0).collect().unwrap(), data.iter().filter(|r| r.1 > 0).cloned().collect());
        assert_eq!(input.filter(|_| false).collect().unwrap(), []);
        same(input.filter(|_| true).collect().unwrap(), data.to_vec());
    });
}

#[test]
fn map_batches() {
    everywhere(|env, data| {
        let got = env.from_collection(data.to_vec()).map_batches(|batch, out| {
            assert!(batch.len() <= 1024 && !batch.is_empty(), "a batch of {}", batch.len());
            batch.drain(..).for_each(|r| out.collect((r.0, r.1 * 2)));
        });
        same(got.collect().unwrap(), data.iter().map(|r| (r.0, r.1 * 2)).collect());
        // What the function leaves is dropped.
        let left = env.from_collection(data.to_vec()).map_batches(|batch, out| out.collect(batch.len() as u64));
        assert_eq!(left.collect().unwrap().iter().sum::<u64>(), data.len() as u64);
    });
}

#[test]
fn map_partition() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let counts = input.map_partition(|records, out| out.collect(records.count() as u64)).collect().unwrap();
        assert_eq!(counts.len(), env.parallelism() as usize, "the function runs once per subtask");
        assert_eq!(counts.iter().sum::<u64>(), data.len() as u64);
        // A function need not read everything.
        let some = input.map_partition(|records, out| records.take(2).for_each(|r| out.collect(r))).collect().unwrap();
        assert!(some.len() <= 2 * env.parallelism() as usize && some.iter().all(|r| data.contains(r)));
        let none = input.map_partition(|_, out| out.collect(1u64)).collect().unwrap();
        assert_eq!(none.len(), env.parallelism() as usize);
    });
}

#[test]
fn rich_functions_count_in_accumulators() {
    everywhere(|env, data| {
        let mapped = env.from_collection(data.to_vec()).map_rich(|context| {
            let (seen, sum) = (context.long_counter("seen"), context.double_counter("sum"));
            let (keys, mut first) = (context.histogram("keys"), true);
            let opened = context.long_counter("subtasks that had records");
            Ok(move |r: Rec| {
                seen.add(1);
                sum.add_float(0.5);
                keys.add(r.0 as i64 % 3);
                opened.add(i64::from(std::mem::take(&mut first)));
                r
            })
        });
        mapped
            .filter_rich(|context| {
                let dropped = context.long_counter("dropped");
                Ok(move |r: &Rec| {
                    dropped.add(i64::from(r.1 < 0));
                    r.1 >= 0
                })
            })
            .output(Nowhere);
        let result = env.execute("accumulators").unwrap();
        let count = data.len();
        let long = |name: &str| match result.accumulators.get(name) {
            Some(AccumulatorValue::Long(value)) => *value as usize,
            other => panic!("{name} is {other:?}"),
        };
        assert_eq!(long("seen"), count);
        assert_eq!(long("dropped"), data.iter().filter(|r| r.1 < 0).count());
        assert!(long("subtasks that had records") <= env.parallelism() as usize);
        assert_eq!(result.accumulators.get("sum"), Some(&AccumulatorValue::Double(count as f64 / 2.0)));
        let histogram = crate::by_key(data, |r| r.0 as i64 % 3).into_iter().map(|(key, rs)| (key, rs.len() as u64));
        assert_eq!(result.accumulators.get("keys"), Some(&AccumulatorValue::Histogram(histogram.collect())));
    });
}

/// A sink that keeps nothing.
struct Nowhere;

impl<T: Data> flinkrs::sink::OutputFormat<T> for Nowhere {
    type Writer = Nowhere;

    fn open(&self, _context: &flinkrs::sink::WriterContext<'_>) -> Result<Nowhere> {
        Ok(Nowhere)
    }
}

impl<T> flinkrs::sink::RecordWriter<T> for Nowhere {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        records.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn rich_functions_see_broadcast_sets() {
    everywhere_twice(|env, data, set| {
        let small = env.from_collection(set.to_vec()).filter(|r| r.0 % 2 == 0);
        let names = env.from_collection(["a", "bb"].map(Text::from));
        let got = env
            .from_collection(data.to_vec())
            .flat_map_rich(|context| {
                let members = context.broadcast_set::<Rec>("members")?;
                let names = context.broadcast_set::<Text>("names")?;
                let letters: usize = names.iter().map(|name| name.len()).sum();
                Ok(move |r: Rec, out: &mut Collector<'_, (u64, u64)>| {
                    let count = members.iter().filter(|member| member.0 == r.0).count() as u64;
                    out.collect((r.0, count * 10 + letters as u64));
                })
            })
            .with_broadcast_set(&small, "members")
            .with_broadcast_set(&names, "names");
        let count = |key| set.iter().filter(|member| member.0 % 2 == 0 && member.0 == key).count() as u64;
        same(got.collect().unwrap(), data.iter().map(|r| (r.0, count(r.0) * 10 + 3)).collect());
    });
}

#[test]
fn a_data_set_can_be_its_own_broadcast_set() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec()).rebalance();
        let got = input
            .map_partition_rich(|context| {
                let all = context.broadcast_set::<Rec>("all")?.len() as u64;
                Ok(move |records: &mut Records<'_, Rec>, out: &mut Collector<'_, (u64, u64)>| {
                    records.for_each(|r| out.collect((r.0, all)));
                })
            })
            .with_broadcast_set(&input, "all");
        same(got.collect().unwrap(), data.iter().map(|r| (r.0, data.len() as u64)).collect());
    });
}

#[test]
fn a_broadcast_set_of_another_name_or_type_is_an_error() {
    let env = env(3);
    let set = env.from_collection([1u64]);
    let wrong_name = set.map_rich(|context| context.broadcast_set::<u64>("other").map(|_| |n: u64| n));
    let error = wrong_name.with_broadcast_set(&set, "numbers").name("Ask").collect().unwrap_err().to_string();
    assert!(error.contains("no broadcast set 'other'") && error.contains("Ask"), "{error}");
    let wrong_type = set.map_rich(|context| context.broadcast_set::<u32>("numbers").map(|_| |n: u64| n));
    let error = wrong_type.with_broadcast_set(&set, "numbers").collect().unwrap_err().to_string();
    assert!(error.contains("doesn't hold records of type u32"), "{error}");
}

#[test]
fn union() {
    everywhere_twice(|env, first, second| {
        let (one, other) = (env.from_collection(first.to_vec()), env.from_collection(second.to_vec()));
        let both = one.union(&other).union(&one);
        same(both.collect().unwrap(), [first, second, first].concat());
        let same_key = both.group_by(f0).sum(f1).map(|r| (r.0, r.1));
        let sums = crate::by_key(&[first, second, first].concat(), |r| r.0);
        let sums = sums.into_iter().map(|(key, rs)| (key, rs.iter().map(|r| r.1).sum()));
        same(same_key.collect().unwrap(), sums.collect());
    });
}

#[test]
fn operators_of_different_parallelism_and_chaining() {
    for (first, second, third) in [(1, 3, 8), (8, 1, 3), (3, 8, 1), (5, 5, 2)] {
        let data = records(2_000, 20);
        let got = env(4)
            .from_collection(data.clone())
            .parallelism(first)
            .map(|r| r)
            .parallelism(second)
            .disable_chaining()
            .filter(|r| r.1 != 3)
            .parallelism(third)
            .start_new_chain()
            .group_by(f0)
            .max(f1)
            .parallelism(second)
            .map(|r| (r.0, r.1));
        let kept: Vec<Rec> = data.into_iter().filter(|r| r.1 != 3).collect();
        let most =
            crate::by_key(&kept, |r| r.0).into_iter().map(|(key, rs)| (key, rs.iter().map(|r| r.1).max().unwrap()));
        same(got.collect().unwrap(), most.collect());
    }
}
