//! Where HDFS's futures run: a few threads beside those of the tasks, and the thread that waits.

use flinkrs_core::error::{Error, Result};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::runtime::{Builder, Runtime};
use tokio::task::unconstrained;

/// Threads that wait for sockets and check sums; two keep a reader of each core busy here and don't get in the way.
const THREADS: usize = 2;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime, made when it is first asked for.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("hdfs").enable_all().build();
    let built =
        built.map_err(|error| Error::Resource { message: format!("cannot start threads for HDFS: {error}") })?;
    Ok(RUNTIME.get_or_init(|| built))
}

/// Runs a future there and waits for its result; from any thread, those of other runtimes too.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // Nobody waits any more when the thread that called has ended.
    runtime()?.spawn(async move { drop(sender.send(future.await)) });
    receiver.recv().map_err(|_| Error::internal("a call to HDFS ended without a result"))
}

/// Runs a future on this thread, with the runtime's sockets and clock: for what is almost always ready, and not worth
/// a hand-over.
pub(crate) fn poll_here<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _within = runtime.enter();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    // A task of another runtime that calls this has a budget, and what goes beyond it waits until the task returns.
    let mut future = pin!(unconstrained(future));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_of_another_runtime_may_wait_here_often() {
        let outer = Builder::new_current_thread().build().unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let here = runtime().unwrap();
        let taken = here.spawn(async move {
            let mut count = 0;
            while receiver.recv().await.is_some() {
                count += 1;
            }
            count
        });
        outer.block_on(async {
            (0..1000).for_each(|n| poll_here(here, sender.send(n)).unwrap());
            drop(sender);
        });
        assert_eq!(outer.block_on(taken).unwrap(), 1000);
    }
}
