//! Which supersteps of a loop are snapshotted, and what the files of one subtask are.

use crate::snapshot::{LoopStore, Manifest, Pending, Progress, SnapshotThread, StateFile, SubtaskState};
use flinkrs_core::function::Aggregates;
use flinkrs_core::state::{Extent, StateWriter};
use flinkrs_core::{Operator, Result};
use flinkrs_memory::BatchSpillBuffer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Files that a subtask's part of a solution set has at most, before it is written whole again.
const MOST_FILES: usize = 64;

/// How many times the size of the whole the changes may take together, before the whole is written again.
const MOST_CHANGES: u64 = 2;

/// What a loop is in for at the end of a superstep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// No snapshot is due.
    No,
    /// One is due.
    Snapshot,
    /// One is due, and the one before isn't complete.
    Skipped,
}

fn turn(superstep: u32, every: u32, in_flight: bool) -> Turn {
    match superstep.is_multiple_of(every) {
        false => Turn::No,
        true if in_flight => Turn::Skipped,
        true => Turn::Snapshot,
    }
}

/// The snapshots of one loop.
pub(crate) struct LoopSnapshots {
    pub(crate) store: Arc<LoopStore>,
    pub(crate) every: u32,
    /// The one that the loop goes on from.
    pub(crate) from: Option<Manifest>,
    /// What completes them; in the process that decides about the loop.
    thread: Option<Arc<SnapshotThread>>,
    progress: Arc<Progress>,
    /// What has been decided about the superstep that is ending.
    due: Option<bool>,
    /// What the subtasks have written at its end, in their order.
    states: Vec<(usize, SubtaskState)>,
    /// The files of the newest snapshot.
    files: BTreeSet<String>,
    skipped: u32,
}

impl LoopSnapshots {
    pub(crate) fn new(
        store: Arc<LoopStore>,
        every: u32,
        from: Option<Manifest>,
        thread: Option<Arc<SnapshotThread>>,
    ) -> LoopSnapshots {
        let files = from.iter().flat_map(Manifest::files).map(|file| file.name.clone()).collect();
        LoopSnapshots {
            store,
            every,
            from,
            thread,
            progress: Arc::default(),
            due: None,
            states: Vec::new(),
            files,
            skipped: 0,
        }
    }

    /// Whether a superstep that is ending is snapshotted, and where: decided when its first subtask asks, so that the
    /// snapshot before has had until then to be completed, and the same for all.
    pub(crate) fn due(&mut self, superstep: u32) -> Option<Arc<LoopStore>> {
        let due = *self.due.get_or_insert_with(|| {
            let turn = turn(superstep, self.every, self.progress.in_flight.load(Ordering::Acquire));
            self.skipped += u32::from(turn == Turn::Skipped);
            turn == Turn::Snapshot
        });
        due.then(|| Arc::clone(&self.store))
    }

    /// Says whether the superstep that begins is snapshotted, as another process has decided.
    pub(crate) fn set_due(&mut self, due: bool) {
        self.due = Some(due);
    }

    /// The files that subtasks of this process have written at the end of a superstep.
    pub(crate) fn take_states(&mut self) -> Vec<(usize, SubtaskState)> {
        std::mem::take(&mut self.states)
    }

    /// Takes the files of subtask `subtask`.
    pub(crate) fn add(&mut self, subtask: usize, state: SubtaskState) {
        let at = self.states.partition_point(|(of, _)| *of < subtask);
        self.states.insert(at, (subtask, state));
    }

    /// All subtasks have ended a superstep: what was written is completed if the loop goes on, else forgotten.
    pub(crate) fn superstep_ended(&mut self, superstep: u32, aggregates: &Aggregates, goes_on: bool) {
        let due = self.due.take().unwrap_or(false);
        let subtasks = std::mem::take(&mut self.states).into_iter().map(|(_, state)| state).collect();
        let Some(thread) = self.thread.as_ref().filter(|_| due && goes_on) else { return };
        let manifest = Manifest::new(&self.store.origin, superstep, aggregates, subtasks);
        let files = manifest.files().map(|file| file.name.clone()).collect();
        let before = std::mem::replace(&mut self.files, files);
        self.progress.in_flight.store(true, Ordering::Release);
        let (store, progress) = (Arc::clone(&self.store), Arc::clone(&self.progress));
        thread.complete(Pending { store, manifest, before, progress });
    }

    /// Snapshots that are complete, and those that were due while another was being written.
    pub(crate) fn counts(&self) -> (u32, u32) {
        (self.progress.complete.load(Ordering::Acquire), self.skipped)
    }
}

/// The files with the part of a solution set that one subtask has.
pub(crate) struct SolutionFiles(pub(crate) Vec<StateFile>);

impl SolutionFiles {
    /// What is to be written next.
    fn extent(&self) -> Extent {
        let Some((whole, changes)) = self.0.split_first() else { return Extent::All };
        let bytes: u64 = changes.iter().map(|file| file.bytes).sum();
        if self.0.len() >= MOST_FILES || bytes > MOST_CHANGES * whole.bytes { Extent::All } else { Extent::Changes }
    }

    /// Writes what has changed in the solution set that `operator` has, or all of it.
    pub(crate) fn write(
        &mut self,
        store: &LoopStore,
        superstep: u32,
        subtask: usize,
        operator: &mut dyn Operator,
    ) -> Result<Vec<StateFile>> {
        let extent = self.extent();
        let mut file = store.write(superstep, subtask, "solution")?;
        operator.snapshot(extent, &mut file)?;
        if extent == Extent::All {
            self.0.clear();
        }
        self.0.push(file.finish()?);
        Ok(self.0.clone())
    }
}

/// Writes what a subtask has fed back.
pub(crate) fn write_feedback(
    store: &LoopStore,
    superstep: u32,
    subtask: usize,
    feedback: &mut BatchSpillBuffer,
) -> Result<StateFile> {
    let mut file = store.write(superstep, subtask, "feedback")?;
    feedback.encoded(|block| file.block(block))?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_many_supersteps_have_their_turn_unless_one_is_in_flight() {
        let turns = |every, in_flight| (1..=6).map(|k| turn(k, every, in_flight)).collect::<Vec<_>>();
        use Turn::{No, Skipped, Snapshot};
        assert_eq!(turns(1, false), [Snapshot; 6]);
        assert_eq!(turns(3, false), [No, No, Snapshot, No, No, Snapshot]);
        assert_eq!(turns(3, true), [No, No, Skipped, No, No, Skipped]);
    }

    #[test]
    fn a_solution_set_is_written_whole_when_its_changes_are_large_or_many() {
        let file = |bytes| StateFile { name: String::new(), bytes, crc32: 0 };
        let extent = |sizes: &[u64]| SolutionFiles(sizes.iter().map(|bytes| file(*bytes)).collect()).extent();
        assert_eq!(extent(&[]), Extent::All);
        assert_eq!(extent(&[100]), Extent::Changes);
        assert_eq!(extent(&[100, 150, 50]), Extent::Changes);
        assert_eq!(extent(&[100, 150, 51]), Extent::All);
        assert_eq!(extent(&[&[1000][..], &[1; MOST_FILES - 2]].concat()), Extent::Changes);
        assert_eq!(extent(&[&[1000][..], &[1; MOST_FILES - 1]].concat()), Extent::All);
    }
}
