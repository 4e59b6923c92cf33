//! User functions that are made where they run, with the context of their subtask.

use flinkrs_core::{Result, RuntimeContext};

/// Makes a user function when its operator opens.
pub type Make<F> = Box<dyn Fn(&RuntimeContext) -> Result<F> + Send>;

/// A user function that is made when its operator opens, and anew for every superstep of a loop.
pub(crate) struct Rich<F> {
    make: Make<F>,
    function: Option<F>,
}

impl<F> Rich<F> {
    pub(crate) fn new(make: Make<F>) -> Rich<F> {
        Rich { make, function: None }
    }

    pub(crate) fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        // The one before goes first: it may hold what the new one wants to have.
        self.function = None;
        self.function = Some((self.make)(context)?);
        Ok(())
    }

    /// The function; panics before `open`.
    #[inline(always)]
    pub(crate) fn get(&mut self) -> &mut F {
        self.function.as_mut().expect("an operator gets no records before it is opened")
    }
}
