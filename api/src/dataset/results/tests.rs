//! Results that are written in one process and read in another.

use super::*;
use flinkrs_core::id::Subtask;
use flinkrs_core::types::Text;

type Record = (u64, Text, Vec<u8>);

fn results() -> Arc<Results<Record>> {
    Arc::new(Results::new(ByteSize(1 << 30)))
}

fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range
        .map(|i| (i, Text::from(format!("text number {i} of the result").as_str()), vec![7; i as usize % 50]))
        .collect()
}

fn write<T: Data, F: OutputFormat<T>>(format: &F, subtask: u32, attempt: u32, records: &[T]) {
    let subtask = Subtask { index: subtask, parallelism: 3 };
    let mut writer = format.open(&WriterContext { job: "job", subtask, attempt }).expect("opens");
    for batch in records.chunks(1000) {
        writer.write(&mut batch.to_vec()).expect("writes");
    }
    writer.finish().expect("finishes");
}

/// Ships what a process has of a subtask to another; how many blocks that took.
fn ship<T: Data>(from: &Results<T>, to: &Results<T>, subtask: u32) -> usize {
    let mut blocks = 0;
    let each = &mut |attempt, block: &[u8]| {
        blocks += 1;
        to.put(subtask, attempt, block)
    };
    from.read(subtask, each).expect("ships");
    blocks
}

#[test]
fn what_workers_wrote_comes_back_by_subtask() {
    let (first, second, program) = (results(), results(), results());
    write(&Collect(Arc::clone(&first)), 2, 0, &records(30_000..30_010));
    write(&Collect(Arc::clone(&second)), 0, 0, &records(0..30_000));
    write(&Collect(Arc::clone(&second)), 1, 3, &[]);
    assert_eq!(ship(&first, &program, 2), 1);
    assert_eq!(ship(&second, &program, 1), 1);
    let blocks = ship(&second, &program, 0);
    assert!((5..50).contains(&blocks), "{blocks}");
    // What is there can be read again, by a worker that joins later.
    let late = results();
    for subtask in 0..3 {
        ship(&program, &late, subtask);
    }
    assert_eq!(late.take(), records(0..30_010));
    assert_eq!(program.take(), records(0..30_010));
    assert_eq!(program.take(), []);
    assert_eq!(program.used.load(Ordering::Relaxed), 0);
}

#[test]
fn the_newest_attempt_replaces_the_others_in_any_order() {
    let program = results();
    let worker = |attempt, range| {
        let worker = results();
        write(&Collect(Arc::clone(&worker)), 0, attempt, &records(range));
        worker
    };
    let (first, second, empty) = (worker(0, 0..5), worker(1, 5..8), worker(2, 0..0));
    ship(&first, &program, 0);
    ship(&second, &program, 0);
    ship(&first, &program, 0);
    let here = Collect(Arc::clone(&program));
    write(&here, 0, 0, &records(90..95));
    let again = results();
    ship(&program, &again, 0);
    assert_eq!(again.take(), records(5..8));
    ship(&empty, &program, 0);
    assert_eq!(program.used.load(Ordering::Relaxed), 0);
    write(&here, 0, 3, &records(3..4));
    program.reset();
    // A job that begins anew counts its attempts from 0.
    ship(&first, &program, 0);
    assert_eq!(program.take(), records(0..5));
}

#[test]
fn counts_of_subtasks_add_up_and_those_of_attempts_do_not() {
    let (worker, program) = (Arc::new(Results::new(ByteSize(1 << 20))), Results::new(ByteSize(1 << 20)));
    let count = Count(Arc::clone(&worker));
    write(&count, 0, 0, &records(0..2500));
    write(&count, 0, 1, &records(0..1500));
    write(&count, 2, 0, &records(0..7));
    ship(&worker, &program, 2);
    ship(&worker, &program, 0);
    assert_eq!(program.take(), [1500, 7]);
}

#[test]
fn the_limit_holds_where_records_are_written_and_where_they_come_back() {
    let limited = || Arc::new(Results::<Record>::new(ByteSize(1 << 20)));
    let expected = "a collected result takes more than 1.0 MB of memory (option --collect-limit); write it to files \
                    instead";
    let worker = limited();
    let subtask = Subtask { index: 0, parallelism: 1 };
    let context = WriterContext { job: "job", subtask, attempt: 0 };
    let mut writer = Collect(Arc::clone(&worker)).open(&context).expect("opens");
    let error = writer.write(&mut records(0..50_000)).expect_err("too much");
    assert_eq!((error.to_string().as_str(), error.exit_code()), (expected, 4));
    // What an attempt that failed had is free for the next.
    drop(writer);
    write(&Collect(Arc::clone(&worker)), 0, 1, &records(0..5000));

    let program = limited();
    ship(&worker, &program, 0);
    let put = worker.read(0, &mut |_, block| program.put(1, 0, block));
    assert_eq!(put.expect_err("too much").to_string(), expected);
    program.reset();
    ship(&worker, &program, 0);
    // The next attempt has the memory of the one that it replaces.
    write(&Collect(Arc::clone(&program)), 0, 2, &records(0..5000));
    assert_eq!(program.take(), records(0..5000));
}

#[test]
fn a_subtask_that_has_not_finished_has_no_result() {
    let results = results();
    let error = results.read(1, &mut |_, _| Ok(())).expect_err("nothing is there").to_string();
    assert!(error.contains("subtask 2 of a result has not finished here"), "{error}");
    let error = results.put(0, 0, b"\xff\xff\xff").expect_err("no block").to_string();
    assert!(error.contains("can't be read"), "{error}");
}
