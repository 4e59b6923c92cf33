//! Bulk iterations.

use super::*;
use flinkrs::prelude::AccumulatorValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn a_step_runs_so_many_times() {
    everywhere(|env| {
        for supersteps in [1, 2, 17] {
            let step = env.from_collection((0..100u64).collect::<Vec<_>>()).iterate(supersteps);
            let next = step.map(|n| n + 1);
            let expected: Vec<u64> = (0..100).map(|n| n + u64::from(supersteps)).collect();
            assert_eq!(sorted(&step.close_with(&next)), expected);
        }
    });
}

#[test]
fn what_follows_a_loop_sees_only_its_result() {
    everywhere(|env| {
        let step = env.from_collection(vec![1u64, 2, 3]).iterate(10);
        let next = step.map(|n| n * 2);
        let result = step.close_with(&next).map(|n| n + 1);
        assert_eq!(sorted(&result), [1025, 2049, 3073]);
    });
}

#[test]
fn an_empty_termination_data_set_ends_the_loop() {
    everywhere(|env| {
        let step = env.from_collection(vec![1u64, 3, 5]).iterate(1000);
        let next = step.map(|n| n * 2);
        let small = next.filter(|n| *n < 1000);
        assert_eq!(sorted(&step.close_with_termination(&next, &small)), [1024, 3072, 5120]);
    });
}

#[test]
fn groups_and_sorts_begin_anew_in_each_superstep() {
    everywhere(|env| {
        let numbers: Vec<(u64, u64)> = (0..1000).map(|n| (n % 7, n)).collect();
        let step = env.from_collection(numbers.clone()).iterate(5);
        // Every number of a group becomes one more than the number of records in the group with a smaller one.
        let next = step.group_by(f0).sort_group(Asc(f1)).reduce_group(|group, out| {
            for (rank, record) in group.iter().enumerate() {
                out.collect((record.0, rank as u64 + record.1));
            }
        });
        let mut expected = numbers;
        for _ in 0..5 {
            expected.sort();
            let mut ranks = [0u64; 7];
            for record in &mut expected {
                record.1 += ranks[record.0 as usize];
                ranks[record.0 as usize] += 1;
            }
        }
        expected.sort();
        assert_eq!(sorted(&step.close_with(&next)), expected);
    });
}

/// Ranks by the power method, one vertex after the other.
fn plain_ranks(vertices: u64, edges: &[(u64, u64)], supersteps: u32) -> Vec<f64> {
    let mut degree = vec![0u64; vertices as usize];
    edges.iter().for_each(|(from, _)| degree[*from as usize] += 1);
    let mut ranks = vec![1.0 / vertices as f64; vertices as usize];
    for _ in 0..supersteps {
        let mut next = vec![0.15 / vertices as f64; vertices as usize];
        for (from, to) in edges {
            next[*to as usize] += 0.85 * ranks[*from as usize] / degree[*from as usize] as f64;
        }
        ranks = next;
    }
    ranks
}

/// The step with the links as a constant input of a join, in each way that the join can be executed.
#[test]
fn a_constant_input_of_a_join_is_read_once_and_used_in_each_superstep() {
    let edges = random_edges(200, 1000);
    let expected = plain_ranks(200, &edges, 10);
    let hints = [
        JoinHint::OptimizerChooses,
        JoinHint::BroadcastHashFirst,
        JoinHint::BroadcastHashSecond,
        JoinHint::RepartitionHashFirst,
        JoinHint::RepartitionHashSecond,
        JoinHint::RepartitionSortMerge,
    ];
    for hint in hints {
        everywhere(|env| {
            let links = env.from_collection(edges.clone());
            let degrees = links.map(|(from, _)| (from, 1u64)).group_by(f0).sum(f1);
            let weighted = links.join(&degrees).on(f0, f0).map(|(from, to), (_, degree)| (*from, *to, *degree));
            let pages = env.generate_sequence(0, 199);
            let step = pages.map(|page| (page, 1.0 / 200.0)).iterate(10);
            let shares = step
                .join(&weighted)
                .hint(hint)
                .on(f0, f0)
                .map(|(_, rank), (_, to, degree)| (*to, 0.85 * rank / *degree as f64));
            let base = pages.map(|page| (page, 0.15 / 200.0));
            let next = shares.union(&base).group_by(f0).sum(f1);
            let result: BTreeMap<u64, f64> =
                step.close_with(&next).collect().expect("the job runs").into_iter().collect();
            assert_eq!(result.len(), 200);
            for (page, rank) in result {
                assert!((rank - expected[page as usize]).abs() < 1e-9, "{hint:?}: {page} {rank}");
            }
        });
    }
}

/// Points are constant, centroids are not: the broadcast set is another one in each superstep.
#[test]
fn a_broadcast_set_of_the_loop_is_another_in_each_superstep() {
    everywhere(|env| {
        let points: Vec<f64> = (0..500).map(|i| (bits(i) % 1000) as f64).collect();
        let step = env.from_collection(vec![(0u64, 0.0), (1, 10.0), (2, 20.0)]).iterate(8);
        let nearest = env
            .from_collection(points.clone())
            .map_rich(|context| {
                let centroids = context.broadcast_set::<(u64, f64)>("centroids")?;
                Ok(move |point: f64| {
                    let distance = |centroid: &&(u64, f64)| Total::new((centroid.1 - point).abs());
                    let nearest = centroids.iter().min_by_key(|c| (distance(c), c.0)).map_or(0, |centroid| centroid.0);
                    (nearest, point, 1u64)
                })
            })
            .with_broadcast_set(&step, "centroids");
        let sums = nearest.group_by(f0).reduce(|sum, next| {
            sum.1 += next.1;
            sum.2 += next.2;
        });
        let next = sums.map(|(id, sum, count)| (id, sum / count as f64));
        let mut result = step.close_with(&next).collect().expect("the job runs");
        result.sort_by_key(|centroid| centroid.0);

        let mut expected = vec![0.0, 10.0, 20.0];
        for _ in 0..8 {
            let mut sums = vec![(0.0, 0u64); 3];
            for point in &points {
                let nearest =
                    (0..3).min_by_key(|i| (Total::new(f64::abs(expected[*i] - point)), *i)).expect("there are three");
                sums[nearest].0 += point;
                sums[nearest].1 += 1;
            }
            expected = sums.into_iter().map(|(sum, count)| sum / count as f64).collect();
        }
        for (centroid, expected) in result.iter().zip(&expected) {
            assert!((centroid.1 - expected).abs() < 1e-9, "{result:?} {expected:?}");
        }
        assert_eq!(result.len(), 3);
    });
}

#[test]
fn functions_see_the_superstep_and_the_last_ones_aggregates() {
    everywhere(|env| {
        let step = env.from_collection((1..=10u64).collect::<Vec<_>>()).iterate(4);
        let next = step.map_rich(|context| {
            let superstep = u64::from(context.superstep());
            let before = match context.previous_aggregate("sum") {
                Some(AccumulatorValue::Long(sum)) => sum as u64,
                _ => 0,
            };
            let sum = context.long_aggregator("sum")?;
            Ok(move |n: u64| {
                sum.add(n as i64);
                n + superstep + before
            })
        });
        let result = sorted(&step.close_with(&next));
        let mut expected: Vec<u64> = (1..=10).collect();
        let mut before = 0;
        for superstep in 1..=4 {
            let sum = expected.iter().sum();
            expected.iter_mut().for_each(|n| *n += superstep + before);
            before = sum;
        }
        assert_eq!(result, expected);
    });
}

#[test]
fn a_convergence_criterion_ends_the_loop() {
    everywhere(|env| {
        let step = env.from_collection(vec![1024.0f64, 512.0]).iterate(1000);
        let next = step.map_rich(|context| {
            let moved = context.double_aggregator("moved")?;
            Ok(move |x: f64| {
                moved.add_float(x / 2.0);
                x / 2.0
            })
        });
        let result = step
            .converge_when(|_, aggregates| {
                matches!(aggregates.get("moved"), Some(AccumulatorValue::Double(moved)) if *moved < 1.0)
            })
            .close_with(&next);
        let mut records = result.collect().expect("the job runs");
        records.sort_by(f64::total_cmp);
        assert_eq!(records, [0.25, 0.5]);
    });
}

#[test]
fn functions_that_pull_run_once_in_each_superstep() {
    everywhere(|env| {
        let step = env.from_collection((0..1000u64).collect::<Vec<_>>()).iterate(6);
        let counted = step.map_partition(|records, out| {
            let records: Vec<u64> = records.collect();
            let count = records.len() as u64;
            records.into_iter().for_each(|n| out.collect(n + count / 1000));
            if count == 0 {
                out.collect(1_000_000);
            }
        });
        let next = counted.filter(|n| *n < 1_000_000).rebalance();
        let result = step.close_with(&next).count().expect("the job runs");
        assert_eq!(result, 1000);
    });
}

#[test]
fn loops_follow_and_accompany_each_other() {
    everywhere(|env| {
        let numbers = env.from_collection((0..50u64).collect::<Vec<_>>());
        let first = {
            let step = numbers.iterate(3);
            let next = step.map(|n| n + 1);
            step.close_with(&next)
        };
        let second = {
            let step = first.iterate(4);
            let next = step.map(|n| n * 2);
            step.close_with(&next)
        };
        let third = {
            let step = numbers.iterate(5);
            let next = step.map(|n| n + 100);
            step.close_with(&next)
        };
        let mut expected: Vec<u64> = (0..50).flat_map(|n| [(n + 3) * 16, n + 500, n + 3]).collect();
        expected.sort();
        assert_eq!(sorted(&second.union(&third).union(&first)), expected);
    });
}

/// The result of a loop meets what the loop began with.
#[test]
fn a_loop_in_a_diamond() {
    everywhere(|env| {
        let numbers = env.from_collection((0..20_000u64).map(|n| (n, n)).collect::<Vec<_>>());
        let step = numbers.iterate(3);
        let next = step.map(|(key, n)| (key, n + 1));
        let joined = step.close_with(&next).join(&numbers).on(f0, f0).map(|(_, looped), (_, n)| looped - n);
        assert_eq!(sorted(&joined), vec![3; 20_000]);
    });
}

/// Both branches of a step come from its beginning, and meet in a join that reads one of them first.
#[test]
fn a_diamond_in_a_loop() {
    for hint in [JoinHint::RepartitionHashFirst, JoinHint::RepartitionHashSecond, JoinHint::RepartitionSortMerge] {
        everywhere(|env| {
            let step = env.from_collection((0..20_000u64).map(|n| (n, n)).collect::<Vec<_>>()).iterate(4);
            let one = step.map(|(key, n)| (key, n + 1));
            let two = step.map(|(key, n)| (key, n + 2));
            let next = one.join(&two).hint(hint).on(f0, f0).map(|(key, a), (_, b)| (*key, *a.max(b)));
            let expected: Vec<(u64, u64)> = (0..20_000).map(|n| (n, n + 8)).collect();
            assert_eq!(sorted(&step.close_with(&next)), expected);
        });
    }
}

#[test]
fn a_loop_over_nothing() {
    everywhere(|env| {
        let step = env.from_collection(Vec::<u64>::new()).iterate(5);
        let next = step.map(|n| n + 1).distinct();
        assert_eq!(sorted(&step.close_with(&next)), Vec::<u64>::new());
    });
}

#[test]
fn what_is_fed_back_may_be_larger_than_memory() {
    let env = env(2);
    let step = env.generate_sequence(1, 3_000_000).map(|n| (n, n, n)).iterate(3);
    let next = step.map(|(key, a, b)| (key, a + 1, b));
    let sum = step.close_with(&next).map(|(key, a, b)| (key ^ b, a - b)).reduce(|sum, next| {
        sum.0 |= next.0;
        sum.1 += next.1;
    });
    assert_eq!(sum.collect().expect("the job runs"), [(0, 9_000_000)]);
}

/// What a step makes up is made up once: every record of a superstep goes through it one time, and what was made of it
/// is what the next superstep and the result see.
#[test]
fn a_step_that_makes_numbers_up_makes_each_once() {
    everywhere(|env| {
        let made = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&made);
        let step = env.generate_sequence(0, 999).map(|n| (n, Vec::<u64>::new())).iterate(4);
        let next = step.map(move |(key, mut numbers)| {
            numbers.push(counter.fetch_add(1, Ordering::Relaxed));
            (key, numbers)
        });
        let result = step.close_with(&next).collect().expect("the job runs");
        assert!(result.iter().all(|(_, numbers)| numbers.len() == 4 && numbers.is_sorted()));
        let mut all: Vec<u64> = result.into_iter().flat_map(|(_, numbers)| numbers).collect();
        all.sort_unstable();
        assert_eq!(all, (0..4000).collect::<Vec<_>>());
        assert_eq!(made.load(Ordering::Relaxed), 4000);
    });
}
