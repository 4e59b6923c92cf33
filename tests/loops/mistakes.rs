//! What can be wrong with a loop, and the messages that say so.

use super::*;

fn message<T: Data>(set: &DataSet<T>) -> String {
    set.collect().err().expect("the program is wrong").to_string()
}

fn numbers(env: &ExecutionEnvironment) -> DataSet<u64> {
    env.from_collection((0..10).collect::<Vec<u64>>())
}

#[test]
fn no_superstep_at_all() {
    let env = env(2);
    let step = numbers(&env).iterate(0);
    let next = step.map(|n| n + 1);
    let result = step.close_with(&next).name("Count Up");
    assert_eq!(message(&result), "iteration 'Count Up' has 0 supersteps; it has to have at least 1");
}

#[test]
fn a_loop_that_isnt_closed() {
    let env = env(2);
    let step = numbers(&env).iterate(3);
    let text = message(&step.map(|n| n + 1));
    assert!(text.contains("is used outside of itself or never closed"), "{text}");
}

#[test]
fn data_that_leaves_a_loop() {
    let env = env(2);
    let step = numbers(&env).iterate(3);
    let next = step.map(|n| n + 1);
    let inside = next.filter(|n| n % 2 == 0);
    let result = step.close_with(&next);
    let text = message(&inside.union(&result));
    assert!(text.contains("only the iteration's result can be used outside of it"), "{text}");
}

#[test]
fn a_step_that_ignores_what_it_begins_with() {
    let env = env(2);
    let numbers = numbers(&env);
    let step = numbers.iterate(3);
    let text = message(&step.close_with(&numbers.map(|n| n + 1)));
    assert!(text.contains("doesn't depend on what the step begins with"), "{text}");
}

#[test]
fn a_loop_inside_of_a_loop() {
    let env = env(2);
    let outer = numbers(&env).iterate(3);
    let inner = outer.map(|n| n + 1).iterate(2);
    let next = inner.map(|n| n * 2);
    let result = outer.close_with(&inner.close_with(&next));
    let text = message(&result);
    assert!(text.contains("'PartialSolution' begins a loop inside of a loop"), "{text}");
}

#[test]
fn a_solution_set_that_isnt_looked_up() {
    let env = env(2);
    let set = numbers(&env).map(|n| (n, n));
    let step = set.iterate_delta(&set, f0, 3);
    let all = step.solution_set().union(step.workset());
    let text = message(&step.close_with(&all, &all));
    assert!(text.contains("uses a solution set in another way than by a join or coGroup on the key"), "{text}");
    let step = set.iterate_delta(&set, f0, 3);
    let by_value = step.workset().join(step.solution_set()).on(f1, f1).map(|a, _| *a);
    let text = message(&step.close_with(&by_value, &by_value));
    assert!(text.contains("operator 'Join' uses a solution set in another way"), "{text}");
    let step = set.iterate_delta(&set, f0, 3);
    let outer = step.workset().full_outer_join(step.solution_set()).on(f0, f0).map(|a, b| *a.or(b).expect("one"));
    let text = message(&step.close_with(&outer, &outer));
    assert!(text.contains("keeps records of the solution set"), "{text}");
}

#[test]
fn two_initial_records_with_one_key() {
    let env = env(2);
    let set = env.from_collection(vec![(1u64, 1u64), (2, 2), (1, 3)]);
    let step = set.iterate_delta(&set, f0, 3);
    let changes = step.workset().filter(|_| false);
    let text = message(&step.close_with(&changes, &changes));
    assert!(text.contains("operator 'SolutionSet' (subtask "), "{text}");
    assert!(text.contains("has two records with one key"), "{text}");
}

#[test]
fn a_panic_in_a_later_superstep() {
    everywhere(|env| {
        let step = numbers(env).iterate(5);
        let next = step.map(|n| if n > 11 { panic!("{n} is too large") } else { n + 1 }).name("Risky");
        let text = message(&step.close_with(&next));
        assert!(text.contains("operator 'Risky' (subtask ") && text.contains("12 is too large"), "{text}");
    });
}

#[test]
fn an_aggregator_outside_of_a_loop() {
    let env = env(2);
    let set = numbers(&env).map_rich(|context| {
        let sum = context.long_aggregator("sum")?;
        Ok(move |n: u64| {
            sum.add(1);
            n
        })
    });
    let text = message(&set);
    assert!(text.contains("aggregator 'sum' is used outside of a loop"), "{text}");
}
