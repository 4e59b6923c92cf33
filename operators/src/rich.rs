//! User functions that are made where they run, with the context of their subtask.

use flinkrs_core::{Result, RuntimeContext};

/// Makes a user function when its operator opens; [`plain`] wraps one that needs no context.
pub type Make<F> = Box<dyn FnOnce(&RuntimeContext) -> Result<F> + Send>;

/// A function that exists already, in the form the operators' constructors take.
pub fn plain<F: Send + 'static>(function: F) -> Make<F> {
    Box::new(move |_| Ok(function))
}

/// A user function before and after its operator was opened.
pub(crate) enum Rich<F> {
    Closed(Option<Make<F>>),
    Open(F),
}

impl<F> Rich<F> {
    pub(crate) fn new(make: Make<F>) -> Rich<F> {
        Rich::Closed(Some(make))
    }

    pub(crate) fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        if let Rich::Closed(make) = self {
            let make = make.take().expect("a function that failed to open isn't opened again");
            *self = Rich::Open(make(context)?);
        }
        Ok(())
    }

    /// The function; panics before `open`.
    #[inline(always)]
    pub(crate) fn get(&mut self) -> &mut F {
        match self {
            Rich::Open(function) => function,
            Rich::Closed(_) => panic!("an operator gets no records before it is opened"),
        }
    }
}
