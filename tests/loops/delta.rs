//! Delta iterations.

use super::*;

fn connected(vertices: &DataSet<u64>, edges: &DataSet<(u64, u64)>, supersteps: u32) -> DataSet<(u64, u64)> {
    let labels = vertices.map(|vertex| (vertex, vertex));
    let both = edges.flat_map(|(from, to), out| {
        out.collect((from, to));
        out.collect((to, from));
    });
    let step = labels.iterate_delta(&labels, f0, supersteps);
    let candidates =
        step.workset().join(&both).on(f0, f0).map(|(_, label), (_, to)| (*to, *label)).group_by(f0).min(f1);
    let changes = candidates
        .join(step.solution_set())
        .on(f0, f0)
        .flat_map(|new, old, out| {
            if new.1 < old.1 {
                out.collect(*new);
            }
        })
        .with_forwarded_fields_first("f0");
    step.close_with(&changes, &changes)
}

#[test]
fn finds_connected_components() {
    for (vertices, edges) in [(1, 0), (50, 20), (2000, 1500), (2000, 20_000)] {
        let graph = random_edges(vertices, edges);
        let expected = components(0..vertices, &graph);
        everywhere(|env| {
            let all: Vec<u64> = (0..vertices).collect();
            let result = connected(&env.from_collection(all), &env.from_collection(graph.clone()), 10_000);
            assert_eq!(sorted(&result), expected);
        });
    }
}

/// Vertices without edges, edges to and between vertices that there aren't, edges from a vertex to itself, and edges
/// that come many times.
#[test]
fn strange_graphs_have_components_too() {
    everywhere(|env| {
        let edges = [(1, 2), (2, 1), (1, 2), (3, 3), (4, 99), (99, 5), (98, 97), (6, 7), (7, 8), (8, 6)];
        let result = connected(&env.generate_sequence(1, 10), &env.from_collection(edges), 100);
        let expected = [(1, 1), (2, 1), (3, 3), (4, 4), (5, 5), (6, 6), (7, 6), (8, 6), (9, 9), (10, 10)];
        assert_eq!(sorted(&result), expected);
    });
}

/// One vertex has more edges than its subtask has memory for.
#[test]
fn a_vertex_may_have_very_many_edges() {
    const EDGES: u64 = 1_000_000;
    let env = env(3);
    let edges = env.generate_sequence(1, EDGES).map(|n| (0, n));
    let result = connected(&env.generate_sequence(0, EDGES), &edges, 10);
    let unconnected = result.filter(|(_, label)| *label != 0).collect().expect("the job runs");
    assert_eq!(unconnected, []);
    assert_eq!(result.count().expect("the job runs"), EDGES + 1);
}

/// A path needs a superstep for each of its edges.
#[test]
fn a_long_path_takes_many_supersteps() {
    everywhere(|env| {
        let edges: Vec<(u64, u64)> = (0..999).map(|i| (i, i + 1)).collect();
        let result = connected(&env.generate_sequence(0, 999), &env.from_collection(edges), 10_000);
        assert!(sorted(&result).iter().all(|(_, label)| *label == 0));
    });
}

#[test]
fn the_limit_ends_a_loop_that_has_more_to_do() {
    everywhere(|env| {
        let edges: Vec<(u64, u64)> = (0..99).map(|i| (i, i + 1)).collect();
        let result = connected(&env.generate_sequence(0, 99), &env.from_collection(edges), 7);
        let expected: Vec<(u64, u64)> = (0..100).map(|i: u64| (i, i.saturating_sub(7))).collect();
        assert_eq!(sorted(&result), expected);
    });
}

/// Distances with a coGroup instead of a join, and a workset of another type than the solution set.
#[test]
fn a_co_group_sees_all_candidates_of_a_key_and_its_solution() {
    let edges: Vec<(u64, u64, u64)> =
        random_edges(300, 1500).into_iter().map(|(a, b)| (a, b, bits(a * 1000 + b) % 50 + 1)).collect();
    let mut expected = vec![u64::MAX; 300];
    expected[0] = 0;
    for _ in 0..300 {
        for (from, to, weight) in &edges {
            expected[*to as usize] = expected[*to as usize].min(expected[*from as usize].saturating_add(*weight));
        }
    }
    everywhere(|env| {
        let solution = env.generate_sequence(0, 299).map(|v| (v, if v == 0 { 0 } else { u64::MAX }));
        let start = env.from_collection(vec![(0u64, 0u64, ())]);
        let links = env.from_collection(edges.clone());
        let step = solution.iterate_delta(&start, f0, 1000);
        let reached = step.workset().join(&links).on(f0, f0).map(|(_, d, ()), (_, to, weight)| (*to, d + weight));
        let changes = reached.co_group(step.solution_set()).on(f0, f0).with(|candidates, solution, out| {
            let least = candidates.iter().map(|c| c.1).min();
            if let (Some(least), Some(known)) = (least, solution.first())
                && least < known.1
            {
                out.collect((known.0, least));
            }
        });
        let workset = changes.map(|(vertex, distance)| (vertex, distance, ()));
        let result = step.close_with(&changes, &workset);
        let expected: Vec<(u64, u64)> = expected.iter().enumerate().map(|(v, d)| (v as u64, *d)).collect();
        assert_eq!(sorted(&result), expected);
    });
}

/// Joins with the solution set as either side, and the kinds that keep records that find nothing there.
#[test]
fn lookups_keep_what_their_join_keeps() {
    everywhere(|env| {
        let solution = env.from_collection((0..10u64).map(|n| (n, 10 * n)).collect::<Vec<_>>());
        let work = env.from_collection((5..15u64).map(|n| (n, 0u64)).collect::<Vec<_>>());
        let step = solution.iterate_delta(&work, f0, 1);
        let set = step.solution_set();
        let work = step.workset();
        let left = work.left_outer_join(set).on(f0, f0).map(|w, s| (w.0, s.map_or(1, |s| s.1 + 1)));
        let right = set.right_outer_join(work).on(f0, f0).map(|s, w| (w.0 + 100, s.map_or(2, |s| s.1 + 2)));
        let inner = set.join(work).on(f0, f0).map(|s, w| (w.0 + 200, s.1 + 3));
        let semi = work.semi_join(set).on(f0, f0).records().map(|w| (w.0 + 300, 4));
        let anti = work.anti_join(set).on(f0, f0).records().map(|w| (w.0 + 400, 5));
        let delta = left.union(&right).union(&inner).union(&semi).union(&anti);
        let nothing = work.filter(|_| false);
        let result = step.close_with(&delta, &nothing);
        let mut expected: Vec<(u64, u64)> = (0..5).map(|n| (n, 10 * n)).collect();
        for n in 5..15 {
            let found = (n < 10).then_some(10 * n);
            expected.push((n, found.map_or(1, |s| s + 1)));
            expected.push((n + 100, found.map_or(2, |s| s + 2)));
            expected.extend(found.map(|s| (n + 200, s + 3)));
            expected.push(if found.is_some() { (n + 300, 4) } else { (n + 400, 5) });
        }
        expected.sort();
        assert_eq!(sorted(&result), expected);
    });
}

#[test]
fn a_delta_of_an_unknown_key_adds_a_record() {
    everywhere(|env| {
        let solution = env.from_collection(vec![(0u64, 0u64)]);
        let step = solution.iterate_delta(&solution, f0, 50);
        let changes = step.workset().map(|(key, n)| (key + 1, n + 2));
        let result = step.close_with(&changes, &changes);
        let expected: Vec<(u64, u64)> = (0..=50).map(|n| (n, 2 * n)).collect();
        assert_eq!(sorted(&result), expected);
    });
}

#[test]
fn an_empty_workset_or_solution_set_is_no_mistake() {
    everywhere(|env| {
        let some = env.from_collection(vec![(1u64, 1u64), (2, 2)]);
        let none = env.from_collection(Vec::<(u64, u64)>::new());
        let increment = |step: DeltaIterationOf| {
            let changes = step.workset().join(step.solution_set()).on(f0, f0).map(|w, s| (w.0, s.1 + 1));
            step.close_with(&changes, &changes)
        };
        assert_eq!(sorted(&increment(some.iterate_delta(&none, f0, 5))), [(1, 1), (2, 2)]);
        assert_eq!(sorted(&increment(none.iterate_delta(&some, f0, 5))), []);
        assert_eq!(sorted(&increment(some.iterate_delta(&some, f0, 5))), [(1, 6), (2, 7)]);
    });
}

type DeltaIterationOf = flinkrs_api::DeltaIteration<(u64, u64), (u64, u64), f0>;

/// Texts that take several times the memory of all slots, changed through a join and through a coGroup.
#[test]
fn a_solution_set_may_be_larger_than_memory() {
    const KEYS: u64 = 200_000;
    const SUPERSTEPS: u64 = 6;
    let text = |key: u64| format!("{key:x>60}");
    // Each key of the workset leads to another one, and no two to the same.
    let next = |key: u64| (key * 7 + 3) % KEYS;
    let changed = |old: &str, superstep: u64| format!("{superstep} {}", &old[2..]);
    let mut model: Vec<String> = (0..KEYS).map(text).collect();
    let mut work: Vec<u64> = (0..5000).map(|n| n * 39).collect();
    for superstep in 1..=SUPERSTEPS {
        work.iter().for_each(|key| model[*key as usize] = changed(&model[*key as usize], superstep));
        work.iter_mut().for_each(|key| *key = next(*key));
    }
    let expected: Vec<(u64, String)> = (0..KEYS).zip(model).collect();
    everywhere(|env| {
        let solution = env.generate_sequence(0, KEYS - 1).map(move |key| (key, text(key)));
        let start = env.generate_sequence(0, 4999).map(|n| (n * 39, 1u64));
        let step = solution.iterate_delta(&start, f0, SUPERSTEPS as u32);
        let (even, odd) = (step.workset().filter(|w| w.0 % 2 == 0), step.workset().filter(|w| w.0 % 2 == 1));
        let joined = even.join(step.solution_set()).on(f0, f0).map(move |w, s| (w.0, changed(&s.1, w.1), w.1));
        let grouped = odd.co_group(step.solution_set()).on(f0, f0).with(move |group, solution, out| {
            if let (Some(w), Some(s)) = (group.first(), solution.first()) {
                out.collect((w.0, changed(&s.1, w.1), w.1));
            }
        });
        let all = joined.union(&grouped);
        let delta = all.map(|(key, text, _)| (key, text));
        let work = all.map(move |(key, _, superstep)| (next(key), superstep + 1));
        let result = sorted(&step.close_with(&delta, &work));
        assert!(result == expected, "{} of {}", result.len(), expected.len());
    });
}
