//! One thread per piece of work.

/// Runs `work` on every item, each in its own thread; the results are in the items' order.
pub fn parallel<I, T, F>(items: Vec<I>, work: F) -> Result<Vec<T>, String>
where
    I: Send,
    T: Send,
    F: Fn(I) -> Result<T, String> + Sync,
{
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a worker thread panicked".to_string())))
            .collect()
    })
}
