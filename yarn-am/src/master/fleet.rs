//! The containers of TaskExecutors: what the JobManager wants, what YARN gives, what becomes of them.

use crate::containers::{Command, Containers, Event, Kind, Place, Wish};
use crate::heartbeat::{Answer, Heartbeat, Size};
use crate::launch::resource;
use crate::master::nodes::Nodes;
use crate::master::{Executors, MasterOptions};
use crate::spec::ContainerSpec;
use flinkrs_core::error::Result;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::token::Token;
use flinkrs_jobmanager::DriverCommand;
use flinkrs_protocol::TaskExecutorId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The only kind of container; the number is YARN's priority.
const EXECUTOR: Kind = 1;

/// How long YARN may take to say that the container of a lost TaskExecutor has ended, before it is given back.
const END_MAX: Duration = Duration::from_secs(5);

/// How many nodes one heartbeat asks for by name at most.
const PLACES_MAX: usize = 256;

/// All containers but the ApplicationMaster's own.
pub(super) struct Fleet {
    executors: Executors,
    tokens: watch::Receiver<BTreeMap<String, Token>>,
    /// How TaskExecutors find the JobManager.
    jobmanager: String,
    heartbeat: Heartbeat,
    containers: Containers<ContainerIdProto>,
    /// Those that run or start, by their names.
    names: BTreeMap<String, ContainerIdProto>,
    /// As they were allocated, until they are started.
    allocated: BTreeMap<ContainerIdProto, ContainerProto>,
    pub(super) nodes: Nodes,
    /// Those whose TaskExecutor is lost, and until when they are left to end by themselves.
    suspects: BTreeMap<ContainerIdProto, Instant>,
    /// Why there will be no more containers.
    pub(super) gave_up: Option<String>,
    started: Instant,
    intervals: (Duration, Duration),
    next_beat: Instant,
}

impl Fleet {
    pub(super) fn new(options: &MasterOptions, jobmanager: &str) -> Result<Fleet> {
        let executors = options.executors.clone();
        let mut heartbeat = Heartbeat::new(&options.conf)?;
        let resource = resource(executors.memory_mb, executors.vcores);
        heartbeat.set_size(EXECUTOR, Size { resource, node_label: executors.node_label.clone() });
        Ok(Fleet {
            jobmanager: executors.address_file.clone().unwrap_or_else(|| jobmanager.to_owned()),
            heartbeat,
            containers: Containers::new(options.limits.clone()),
            names: BTreeMap::new(),
            allocated: BTreeMap::new(),
            nodes: Nodes::new(&options.conf)?,
            suspects: BTreeMap::new(),
            gave_up: None,
            started: Instant::now(),
            intervals: options.intervals,
            next_beat: Instant::now(),
            tokens: options.tokens.clone(),
            executors,
        })
    }

    /// When the ResourceManager hears of it next.
    pub(super) fn beat_at(&self) -> Instant {
        self.next_beat
    }

    /// The JobManager wants something.
    pub(super) fn told(&mut self, command: DriverCommand) {
        match command {
            DriverCommand::Want(total) => {
                let count = total as usize;
                self.decide(Event::Wanted(EXECUTOR, Wish { count, places: self.places(count) }));
            }
            DriverCommand::Lost(id) => {
                if let Some(container) = self.container_of(&id) {
                    self.suspects.insert(container, Instant::now() + END_MAX);
                }
            }
            DriverCommand::Release(id) => {
                if let Some(container) = self.container_of(&id) {
                    self.forget(container);
                    eprintln!("{container} is given back: it was idle");
                    self.decide(Event::Return(container));
                }
            }
        }
        self.next_beat = Instant::now();
    }

    /// Nodes for so many containers, evenly, best first; any other will do as well.
    fn places(&self, count: usize) -> Vec<Place> {
        let nodes = self.executors.nodes.iter().cycle().take(count.min(PLACES_MAX));
        nodes.map(|(node, rack)| Place { node: node.clone(), rack: rack.clone(), only: false }).collect()
    }

    /// The container in which a TaskExecutor runs: its name is the container's, with a number from its second
    /// registration on.
    fn container_of(&self, id: &TaskExecutorId) -> Option<ContainerIdProto> {
        let name = id.to_string();
        let name = name.split('.').next().unwrap_or_default();
        self.names.get(name).copied()
    }

    /// What the ResourceManager has said of earlier attempts' containers.
    pub(super) fn registered(&mut self, response: RegisterApplicationMasterResponseProto) {
        let token = |token: NmTokenProto| Some((token.node_id?, token.token?.into()));
        let tokens = response.nm_tokens_from_previous_attempts.into_iter().filter_map(token).collect();
        let left = response.containers_from_previous_attempts;
        self.take(Answer { events: self.heartbeat.found(&left), containers: left, tokens });
    }

    /// The ResourceManager has been restarted, and knows nothing of what it was asked.
    pub(super) fn resync(&mut self) {
        let event = self.heartbeat.resync();
        self.decide(event);
    }

    /// The next heartbeat.
    pub(super) fn request(&mut self) -> AllocateRequestProto {
        let now = Instant::now();
        let late: Vec<_> = self.suspects.extract_if(.., |_, until| *until <= now).map(|(id, _)| id).collect();
        for container in late {
            eprintln!("{container} is given back: its TaskExecutor is lost");
            self.decide(Event::Return(container));
        }
        self.decide(Event::Tick);
        self.heartbeat.request(0.5)
    }

    /// The answer to a heartbeat.
    pub(super) fn answered(&mut self, response: AllocateResponseProto) {
        let answer = self.heartbeat.answered(response);
        self.take(answer);
        let waits = self.containers.asked(EXECUTOR) > 0 || !self.suspects.is_empty();
        self.next_beat = Instant::now() + if waits { self.intervals.1 } else { self.intervals.0 };
    }

    fn take(&mut self, answer: Answer) {
        answer.tokens.into_iter().for_each(|(node, token)| self.nodes.set_token(&node, token));
        for container in answer.containers {
            let id = container.id.unwrap_or_default();
            self.names.insert(id.to_string(), id);
            self.allocated.insert(id, container);
        }
        for event in answer.events {
            match &event {
                Event::Found { id, node, .. } => eprintln!("{id} of an earlier attempt runs on {node}"),
                Event::Ended { id, end, diagnostics } => {
                    eprintln!("{id} has ended: {end:?} {}", diagnostics.trim());
                    self.forget(*id);
                }
                _ => {}
            }
            self.decide(event);
        }
    }

    /// What became of a start.
    pub(super) fn happened(&mut self, event: Event<ContainerIdProto>) {
        if let Event::Ended { id, diagnostics, .. } = &event {
            eprintln!("{id} can't be started: {diagnostics}");
            self.forget(*id);
        }
        self.decide(event);
        self.next_beat = Instant::now();
    }

    fn forget(&mut self, id: ContainerIdProto) {
        self.names.remove(&id.to_string());
        self.suspects.remove(&id);
        self.allocated.remove(&id);
    }

    fn decide(&mut self, event: Event<ContainerIdProto>) {
        for command in self.containers.decide(event, self.started.elapsed()) {
            match self.heartbeat.take(command) {
                Some(Command::Launch(id, _)) => self.launch(id),
                Some(Command::GiveUp(reason)) => self.gave_up = Some(reason),
                _ => {}
            }
        }
    }

    fn launch(&mut self, id: ContainerIdProto) {
        let Some(container) = self.allocated.get(&id).cloned() else { return };
        let node = container.node_id.clone().unwrap_or_default();
        eprintln!("{id} is given on {node}");
        let spec = ContainerSpec {
            common: self.executors.common.clone(),
            jobmanager: self.jobmanager.clone(),
            container: id.to_string(),
            tokens: self.executors.tokens_file.clone(),
        };
        let mut launch = self.executors.launch.clone();
        launch.credentials.tokens.clone_from(&self.tokens.borrow());
        match spec.store(&mut launch.credentials) {
            Ok(()) => {}
            // It is the same for all of them.
            Err(error) => return self.gave_up = Some(error.to_string()),
        }
        self.nodes.start(&node, container, launch.to_proto());
    }
}
