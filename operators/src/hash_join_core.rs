//! The hash join as built and probing side, whichever of the inputs those are.

use crate::hash_join_probe::{Emit, Keeps, Logic, probe};
use crate::hash_join_round::{Probing, Stage, State};
use flinkrs_core::element::Superstep;
use flinkrs_core::strategy::Side;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Error, Operator, Output, Progress, Result, RuntimeContext};
use std::marker::PhantomData;

/// A hash join with the built side first.
pub(crate) struct JoinCore<B: Data, P: Data, O, SB, SP, E> {
    logic: Logic<SB, SP, E>,
    build_input: usize,
    state: Option<State<B, P>>,
    buffer: Batch,
    types: PhantomData<fn() -> O>,
}

impl<B, P, O, SB, SP, E> JoinCore<B, P, O, SB, SP, E>
where
    B: Data,
    P: Data,
    O: Data,
    SB: KeySelector<B>,
    SP: KeySelector<P, Key = SB::Key>,
    E: Emit<B, P, O>,
{
    pub(crate) fn new(keeps: Keeps, build: Side, build_key: SB, probe_key: SP, emit: E) -> Self {
        let logic = Logic { keeps, build_key, probe_key, emit };
        let buffer = Batch::new(Vec::<O>::new());
        JoinCore { logic, build_input: build.index(), state: None, buffer, types: PhantomData }
    }

    /// Does one step of what is left when all input of the round has come.
    fn step(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let JoinCore { logic, state, buffer, .. } = self;
        let Some(state) = state else {
            return Ok(Progress::Done);
        };
        let mut collector = Collector::new(buffer, out);
        let progress = state.step(logic, &mut collector)?;
        collector.finish()?;
        Ok(progress)
    }
}

impl<B, P, O, SB, SP, E> Operator for JoinCore<B, P, O, SB, SP, E>
where
    B: Data,
    P: Data,
    O: Data,
    SB: KeySelector<B>,
    SP: KeySelector<P, Key = SB::Key>,
    E: Emit<B, P, O>,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.state = Some(State::new(context));
        Ok(())
    }

    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let JoinCore { logic, build_input, state, buffer, .. } = self;
        let state = state.as_mut().expect("an operator gets no records before it is opened");
        if input == *build_input {
            return state.add(logic, batch.records::<B>());
        }
        if state.round.stage == Stage::Build {
            state.seal(logic)?;
        }
        let Probing { table, records } = state.resident(logic, batch.records::<P>())?;
        let mut collector = Collector::new(buffer, out);
        probe(logic, table, records, None, &mut collector);
        collector.finish()?;
        batch.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }

    /// The built side until it is complete.
    fn preferred_input(&self) -> Option<usize> {
        self.state.as_ref().filter(|state| state.round.stage == Stage::Build).map(|_| self.build_input)
    }

    fn end_input(&mut self, input: usize, _out: &mut dyn Output) -> Result<()> {
        let state =
            self.state.as_mut().ok_or_else(|| Error::internal("a join that isn't open got the end of an input"))?;
        if input == self.build_input && !state.build_ended {
            state.build_ended = true;
            if state.round.stage == Stage::Build {
                state.seal(&self.logic)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        // In a loop the last superstep's end has emitted everything.
        if self.state.as_ref().is_some_and(|state| state.looping) {
            return Ok(Progress::Done);
        }
        self.step(out)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        while self.step(out)? == Progress::More {}
        if let Some(state) = &mut self.state {
            state.begin_again(&self.logic);
        }
        out.superstep_end(superstep)
    }
}
