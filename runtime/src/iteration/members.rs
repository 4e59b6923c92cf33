//! A loop whose tasks run in several processes: what each tells the one that decides, and what that answers.
//!
//! ```text
//!  member ──ended──▶ ┌────────┐
//!  member ──ended──▶ │ leader │ ──decided──▶ all members
//!  member ──ended──▶ └────────┘
//! ```
//!
//! A member says once per superstep that all of its tasks of the loop have ended it, with what they counted. Since the
//! leader has heard of all of them before it decides, nothing that was counted comes too late.

use crate::control::Surroundings;
use crate::iteration::LoopControl;
use crate::iteration::control::{Decision, Outcome};
use crate::network::{Exchange, PeerId, address_of};
use crate::snapshot::SubtaskState;
use crate::task::lock;
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::types::codec;
use flinkrs_core::{Error, Result};
use flinkrs_protocol::{ApplicationId, JobId, LoopDeployment, LoopMember, WorkerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// Which loop of which attempt a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LoopKey {
    job: JobId,
    at: u32,
    attempt: u32,
}

/// What members and leader of a loop tell each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum LoopMessage {
    /// All tasks of a member have ended a superstep.
    Ended(Ended),
    /// What follows the superstep.
    Decided(Decided),
}

/// A member's part of a superstep.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) aggregates: Vec<(String, AccumulatorValue)>,
    /// The files of the member's subtasks of the tail, when the superstep is snapshotted.
    pub(crate) states: Vec<(usize, SubtaskState)>,
}

/// The end of a superstep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) outcome: Outcome,
    pub(crate) aggregates: Vec<(String, AccumulatorValue)>,
    /// Whether the next superstep is snapshotted.
    pub(crate) snapshot_next: bool,
}

/// The members of one loop, as one of them knows them.
pub(crate) struct Members {
    pub(crate) leads: bool,
    /// How many there are.
    pub(crate) count: usize,
    /// Tasks of the loop in this process, each of which ends every superstep.
    pub(crate) tasks: usize,
    key: LoopKey,
    application: ApplicationId,
    me: WorkerId,
    leader: LoopMember,
    all: Arc<[LoopMember]>,
    exchange: Exchange,
    messages: Arc<LoopMessages>,
}

impl Members {
    /// Tells the leader, which may be this process.
    pub(crate) fn tell_leader(&self, ended: Ended) -> Result<()> {
        self.send(&self.leader, LoopMessage::Ended(ended))
    }

    /// Tells the other members.
    pub(crate) fn tell_members(&self, decided: &Decided) -> Result<()> {
        let others = self.all.iter().filter(|member| member.worker != self.me);
        others.into_iter().try_for_each(|member| self.send(member, LoopMessage::Decided(decided.clone())))
    }

    fn send(&self, to: &LoopMember, message: LoopMessage) -> Result<()> {
        let mut bytes = Vec::new();
        codec::encode(&[(self.key, message)], &mut bytes)?;
        let address = address_of(&to.address, &to.worker)?;
        self.exchange.send_message((PeerId::of_worker(self.application, to.worker), address), &bytes)
    }

    /// Receives messages for `control` from now on, and those that came before.
    pub(crate) fn listen(&self, control: &Arc<LoopControl>) -> Result<()> {
        self.messages.listen(self.key, control)
    }
}

/// Messages of the loops of a process: they go to the loop's control, or wait until there is one.
#[derive(Default)]
pub struct LoopMessages(Mutex<Inboxes>);

#[derive(Default)]
struct Inboxes {
    controls: BTreeMap<LoopKey, Weak<LoopControl>>,
    /// Of loops that aren't deployed here yet: at most one message per member, who waits for the answer.
    early: BTreeMap<LoopKey, Vec<LoopMessage>>,
}

impl LoopMessages {
    /// Takes a message that another process has sent with the [`Exchange`].
    ///
    /// Errors when it can't be read, or when a loop can't go on with it.
    pub fn receive(&self, bytes: &[u8]) -> Result<()> {
        let mut decoded: Vec<(LoopKey, LoopMessage)> = codec::decode(bytes)?;
        let (key, message) = decoded.pop().ok_or_else(|| Error::internal("an empty message of a loop"))?;
        let mut inboxes = lock(&self.0);
        match inboxes.controls.get(&key).map(Weak::upgrade) {
            Some(Some(control)) => {
                drop(inboxes);
                control.receive(message)
            }
            // The loop has gone.
            Some(None) => Ok(()),
            None => {
                inboxes.early.entry(key).or_default().push(message);
                Ok(())
            }
        }
    }

    /// Forgets the loops of a job that has ended.
    pub fn forget(&self, job: JobId) {
        let mut inboxes = lock(&self.0);
        inboxes.controls.retain(|key, _| key.job != job);
        inboxes.early.retain(|key, _| key.job != job);
    }

    fn listen(&self, key: LoopKey, control: &Arc<LoopControl>) -> Result<()> {
        let mut inboxes = lock(&self.0);
        inboxes.controls.insert(key, Arc::downgrade(control));
        let early = inboxes.early.remove(&key).unwrap_or_default();
        drop(inboxes);
        early.into_iter().try_for_each(|message| control.receive(message))
    }

    pub(crate) fn members(
        self: &Arc<Self>,
        around: &Surroundings,
        deployed: &LoopDeployment,
        attempt: u32,
        tasks: usize,
    ) -> Members {
        let leader = deployed.members[deployed.leader as usize].clone();
        Members {
            leads: leader.worker == around.me,
            count: deployed.members.len(),
            tasks,
            key: LoopKey { job: around.job, at: deployed.at, attempt },
            application: around.application,
            me: around.me,
            leader,
            all: Arc::clone(&deployed.members),
            exchange: around.exchange.clone(),
            messages: Arc::clone(self),
        }
    }
}
