//! Runs tasks cooperatively on a few threads.
//!
//! Each worker has one ready list. Whoever fills a queue, frees room or finishes a wait calls [`TaskCell::wake`],
//! which puts the task on the list of its home worker and unparks that worker. Idle workers steal. A task that has
//! to block calls [`block_until`]: its worker's role goes to a new thread, so the other tasks go on.

use flinkrs_core::operator::Unwind;
use flinkrs_core::{Error, Result};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long an idle worker looks for work before it sleeps: longer than a hand-over between two tasks, shorter than
/// what a wake-up costs.
const SPIN: Duration = Duration::from_micros(20);

/// How long it looks for what other processes send, if it hasn't waited longer than that for the last of it: longer
/// than the way there and back.
const LOOKOUT: Duration = Duration::from_micros(200);

/// A blocked task looks at its condition at least this often, also when nobody wakes it.
const BLOCKED_POLL: Duration = Duration::from_millis(50);

const IDLE: u8 = 0;
const READY: u8 = 1;
const RUNNING: u8 = 2;
const WOKEN: u8 = 3;
const DONE: u8 = 4;

/// What a task says after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has more to do at once.
    Again,
    /// It has to be woken.
    Wait,
    /// It is over.
    Done,
}

/// A piece of work that runs in turns.
pub(crate) trait Runnable: Send {
    /// Works for a short while.
    fn run(&mut self) -> Verdict;
}

/// Where idle workers look for what other processes send, which makes tasks ready.
pub(crate) trait Lookout: Send + Sync {
    /// Takes what is there, and doesn't wait.
    fn look(&self);
}

/// A task as the scheduler and its wakers see it.
pub(crate) struct TaskCell {
    state: AtomicU8,
    home: usize,
    scheduler: Arc<Scheduler>,
    body: Mutex<Option<Box<dyn Runnable>>>,
    blocked: Mutex<Option<Thread>>,
    is_blocked: AtomicBool,
}

impl TaskCell {
    /// A task that runs for the first time when it is woken; `home` is the worker it prefers.
    pub(crate) fn new(scheduler: &Arc<Scheduler>, home: usize) -> Arc<TaskCell> {
        Arc::new(TaskCell {
            state: AtomicU8::new(IDLE),
            home: home % scheduler.queues.len(),
            scheduler: Arc::clone(scheduler),
            body: Mutex::new(None),
            blocked: Mutex::new(None),
            is_blocked: AtomicBool::new(false),
        })
    }

    /// Gives the task its body; before the first wake.
    pub(crate) fn set_body(&self, body: Box<dyn Runnable>) {
        *lock(&self.body) = Some(body);
    }

    /// Makes the task run soon, if it isn't over; cheap when it is ready already.
    pub(crate) fn wake(self: &Arc<Self>) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let next = match state {
                IDLE => READY,
                RUNNING => WOKEN,
                _ => return,
            };
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(IDLE) => return self.scheduler.enqueue(Arc::clone(self)),
                Ok(_) => return self.unblock(),
                Err(now) => state = now,
            }
        }
    }

    fn unblock(&self) {
        if self.is_blocked.load(Ordering::Acquire)
            && let Some(thread) = &*lock(&self.blocked)
        {
            thread.unpark();
        }
    }

    /// Runs the task once, on the thread that took it off a ready list.
    fn run(self: &Arc<Self>) {
        self.state.store(RUNNING, Ordering::Release);
        CURRENT.with_borrow_mut(|current| *current = Some(Arc::clone(self)));
        let mut body = lock(&self.body);
        let verdict = body.as_mut().map_or(Verdict::Done, |task| task.run());
        if verdict == Verdict::Done {
            *body = None;
        }
        drop(body);
        CURRENT.with_borrow_mut(|current| *current = None);
        match verdict {
            Verdict::Done => {
                self.state.store(DONE, Ordering::Release);
                self.scheduler.task_done();
            }
            Verdict::Again => {
                self.state.store(READY, Ordering::Release);
                self.scheduler.enqueue(Arc::clone(self));
            }
            Verdict::Wait => {
                if self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    self.state.store(READY, Ordering::Release);
                    self.scheduler.enqueue(Arc::clone(self));
                }
            }
        }
    }
}

/// For those who wake whoever waits, a task or a thread.
impl std::task::Wake for TaskCell {
    fn wake(self: Arc<Self>) {
        TaskCell::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        TaskCell::wake(self);
    }
}

thread_local! {
    /// The task that this thread runs.
    static CURRENT: RefCell<Option<Arc<TaskCell>>> = const { RefCell::new(None) };
    /// The worker role of this thread, given away when a task blocks.
    static ROLE: RefCell<Option<usize>> = const { RefCell::new(None) };
}

/// The task that runs on this thread.
pub(crate) fn current_task() -> Option<Arc<TaskCell>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Blocks the current task until `ready`, while another thread runs the tasks that were this worker's.
pub(crate) fn block_until(mut ready: impl FnMut() -> bool) {
    if ready() {
        return;
    }
    let Some(cell) = current_task() else {
        while !ready() {
            thread::sleep(Duration::from_millis(1));
        }
        return;
    };
    if let Some(role) = ROLE.with_borrow_mut(Option::take)
        && let Err(error) = Scheduler::spawn_worker(&cell.scheduler, role)
    {
        ROLE.with_borrow_mut(|mine| *mine = Some(role));
        std::panic::resume_unwind(Box::new(Unwind(error)));
    }
    *lock(&cell.blocked) = Some(thread::current());
    cell.is_blocked.store(true, Ordering::Release);
    loop {
        // A wake that comes after this line unparks; one before it has made the condition true.
        let _ = cell.state.compare_exchange(WOKEN, RUNNING, Ordering::AcqRel, Ordering::Acquire);
        if ready() {
            break;
        }
        thread::park_timeout(BLOCKED_POLL);
    }
    cell.is_blocked.store(false, Ordering::Release);
    *lock(&cell.blocked) = None;
    // A wake-up during the wait was for the wait; what it announced is seen in the rest of this run or the next.
    let _ = cell.state.compare_exchange(RUNNING, WOKEN, Ordering::AcqRel, Ordering::Acquire);
}

/// The ready lists and the workers of one job.
pub(crate) struct Scheduler {
    queues: Vec<Mutex<VecDeque<Arc<TaskCell>>>>,
    workers: Vec<Mutex<Option<Thread>>>,
    asleep: Vec<AtomicBool>,
    live: AtomicUsize,
    done: Mutex<bool>,
    finished: std::sync::Condvar,
    spins: bool,
    lookout: Option<Arc<dyn Lookout>>,
}

impl Scheduler {
    /// A scheduler with `threads` workers (at least one), which start with [`Scheduler::start`].
    pub(crate) fn new(threads: usize, lookout: Option<Arc<dyn Lookout>>) -> Arc<Scheduler> {
        let threads = threads.max(1);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Scheduler {
            queues: (0..threads).map(|_| Mutex::default()).collect(),
            workers: (0..threads).map(|_| Mutex::default()).collect(),
            asleep: (0..threads).map(|_| AtomicBool::new(false)).collect(),
            live: AtomicUsize::new(0),
            done: Mutex::new(false),
            finished: std::sync::Condvar::new(),
            spins: threads <= cores,
            lookout,
        })
    }

    /// Runs `tasks` until all are done; call once. With fewer threads than wanted if the system refuses some.
    ///
    /// Errors when it refuses all.
    pub(crate) fn start(self: &Arc<Self>, tasks: &[Arc<TaskCell>]) -> Result<()> {
        self.live.store(tasks.len(), Ordering::Release);
        if tasks.is_empty() {
            self.finish();
            return Ok(());
        }
        for task in tasks {
            task.state.store(READY, Ordering::Release);
            lock(&self.queues[task.home]).push_back(Arc::clone(task));
        }
        let started: Vec<Result<()>> = (0..self.queues.len()).map(|role| Scheduler::spawn_worker(self, role)).collect();
        if started.iter().any(Result::is_ok) { Ok(()) } else { started.into_iter().collect() }
    }

    /// Waits until all tasks are done, or for `timeout`; whether they are.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut done = lock(&self.done);
        while !*done {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() => return false,
                Some(left) => {
                    done = self.finished.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => done = self.finished.wait(done).unwrap_or_else(PoisonError::into_inner),
            }
        }
        true
    }

    fn spawn_worker(this: &Arc<Self>, role: usize) -> Result<()> {
        let scheduler = Arc::clone(this);
        let spawned = thread::Builder::new().name(format!("worker-{role}")).spawn(move || scheduler.work(role));
        spawned.map(|_| ()).map_err(|error| Error::Resource {
            message: format!(
                "the system refuses another thread: {error}; raise its limit (`ulimit -u`), or lower --parallelism"
            ),
        })
    }

    fn work(self: Arc<Self>, role: usize) {
        ROLE.with_borrow_mut(|mine| *mine = Some(role));
        *lock(&self.workers[role]) = Some(thread::current());
        let mut waited = Duration::ZERO;
        while ROLE.with_borrow(Option::is_some) {
            match self.next_task(role, &mut waited) {
                Some(task) => task.run(),
                None => return,
            }
        }
    }

    /// The next ready task: this worker's, then another's; waits for one. `None` when all are done.
    ///
    /// `waited` is how long the worker has waited the last time that it had to.
    fn next_task(&self, role: usize, waited: &mut Duration) -> Option<Arc<TaskCell>> {
        if let Some(task) = self.take(role) {
            return Some(task);
        }
        let start = Instant::now();
        let task = self.spin(role, start, *waited).or_else(|| self.sleep(role));
        *waited = start.elapsed();
        task
    }

    /// Looks for a task for a while.
    fn spin(&self, role: usize, start: Instant, waited: Duration) -> Option<Arc<TaskCell>> {
        let lookout = self.lookout.as_ref().filter(|_| waited < LOOKOUT);
        let time = if lookout.is_some() { LOOKOUT } else { SPIN };
        while self.spins && self.live.load(Ordering::Acquire) > 0 && start.elapsed() < time {
            match lookout {
                Some(lookout) => lookout.look(),
                None => std::hint::spin_loop(),
            }
            if let Some(task) = self.take(role) {
                return Some(task);
            }
        }
        None
    }

    /// Sleeps until there is a task.
    fn sleep(&self, role: usize) -> Option<Arc<TaskCell>> {
        while self.live.load(Ordering::Acquire) > 0 {
            self.asleep[role].store(true, Ordering::SeqCst);
            let mut task = self.take(role);
            if task.is_none() && self.live.load(Ordering::SeqCst) > 0 {
                thread::park_timeout(Duration::from_secs(1));
                task = self.take(role);
            }
            self.asleep[role].store(false, Ordering::SeqCst);
            if task.is_some() {
                return task;
            }
        }
        None
    }

    fn take(&self, role: usize) -> Option<Arc<TaskCell>> {
        if let Some(task) = lock(&self.queues[role]).pop_front() {
            return Some(task);
        }
        let others = (1..self.queues.len()).map(|i| (role + i) % self.queues.len());
        others.into_iter().find_map(|other| lock(&self.queues[other]).pop_back())
    }

    fn enqueue(&self, task: Arc<TaskCell>) {
        let home = task.home;
        let waiting = {
            let mut queue = lock(&self.queues[home]);
            queue.push_back(task);
            queue.len()
        };
        if self.asleep[home].swap(false, Ordering::SeqCst) {
            self.unpark(home);
        } else if waiting > 1 || ROLE.with_borrow(|role| *role != Some(home)) {
            // The home worker is busy: let an idle one steal.
            if let Some(idle) = (0..self.asleep.len()).find(|i| self.asleep[*i].swap(false, Ordering::SeqCst)) {
                self.unpark(idle);
            }
        }
    }

    fn unpark(&self, role: usize) {
        if let Some(thread) = &*lock(&self.workers[role]) {
            thread.unpark();
        }
    }

    fn task_done(&self) {
        if self.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    fn finish(&self) {
        *lock(&self.done) = true;
        self.finished.notify_all();
        for role in 0..self.workers.len() {
            self.unpark(role);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(Arc<AtomicUsize>, usize);

    impl Runnable for Count {
        fn run(&mut self) -> Verdict {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1 -= 1;
            if self.1 == 0 { Verdict::Done } else { Verdict::Again }
        }
    }

    fn spawn(scheduler: &Arc<Scheduler>, home: usize, body: impl Runnable + 'static) -> Arc<TaskCell> {
        let cell = TaskCell::new(scheduler, home);
        cell.set_body(Box::new(body));
        cell
    }

    #[test]
    fn runs_every_task_to_its_end() {
        let scheduler = Scheduler::new(3, None);
        let runs = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..50).map(|i| spawn(&scheduler, i, Count(Arc::clone(&runs), 20))).collect();
        scheduler.start(&tasks).expect("there are threads");
        assert!(scheduler.wait(Some(Duration::from_secs(30))));
        assert_eq!(runs.load(Ordering::Relaxed), 1000);
    }

    struct Blocks(Arc<AtomicBool>);

    impl Runnable for Blocks {
        fn run(&mut self) -> Verdict {
            block_until(|| self.0.load(Ordering::Acquire));
            Verdict::Done
        }
    }

    struct Releases(Arc<AtomicBool>, Arc<TaskCell>);

    impl Runnable for Releases {
        fn run(&mut self) -> Verdict {
            self.0.store(true, Ordering::Release);
            self.1.wake();
            Verdict::Done
        }
    }

    #[test]
    fn a_blocked_task_leaves_its_worker_to_the_others() {
        let scheduler = Scheduler::new(1, None);
        let flag = Arc::new(AtomicBool::new(false));
        let blocked = spawn(&scheduler, 0, Blocks(Arc::clone(&flag)));
        let release = spawn(&scheduler, 0, Releases(flag, Arc::clone(&blocked)));
        scheduler.start(&[blocked, release]).expect("there are threads");
        assert!(scheduler.wait(Some(Duration::from_secs(30))), "the only worker was blocked");
    }
}
