//! Keeps user code's panics inside the task, with the operator that panicked and the panic's own words.

use flinkrs_core::Error;
use flinkrs_core::operator::Unwind;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Position in the chain of the operator that is being called.
    static OPERATOR: Cell<usize> = const { Cell::new(0) };
}

/// Runs `f` as operator `index` of the chain, for the sake of [`failed_operator`].
#[inline]
pub(crate) fn as_operator<R>(index: usize, f: impl FnOnce() -> R) -> R {
    let caller = OPERATOR.replace(index);
    let result = f();
    OPERATOR.set(caller);
    result
}

/// The operator that was called last on this thread and has not returned.
pub(crate) fn failed_operator() -> usize {
    OPERATOR.get()
}

/// Runs a task's code; a panic becomes an error that carries the panic's message and place.
pub(crate) fn catch<R>(f: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    OPERATOR.set(0);
    catch_inside(f)
}

/// Runs user code that belongs to no operator, in a task or outside; the caller names whose it is.
pub(crate) fn catch_inside<R>(f: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    install_hook();
    let outer = INSIDE.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    INSIDE.set(outer);
    result.unwrap_or_else(|payload| Err(error_of(payload)))
}

fn error_of(payload: Box<dyn Any + Send>) -> Error {
    match payload.downcast::<Unwind>() {
        Ok(unwind) => unwind.0,
        Err(_) => {
            let message = MESSAGE.take().unwrap_or_else(|| "user code panicked".to_owned());
            Error::function(message)
        }
    }
}

/// Replaces the printing of panics inside tasks by keeping the message; other threads print as before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                return before(info);
            }
            let text = info.payload_as_str().unwrap_or("a value that isn't text");
            let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
            MESSAGE.set(Some(format!("user code panicked{place}: {text}")));
        }));
    });
}
