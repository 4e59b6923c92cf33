//! Which containers to ask for, to give back, and to avoid: decisions without clock, network or YARN's messages.
//!
//! Each container is asked for under a number of its own, once; YARN says with each container which number it belongs
//! to. So an ask can't be counted twice: not when it is repeated while its container is already on the way
//! (FLINK-12342), and not when a later ask of the same size adds to one that was served (YARN-1902). A container whose
//! number isn't open any more is given back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A size of container and what it is for; YARN's priority, of which the lower comes first.
pub type Kind = u32;

/// The number under which one container is asked for.
pub type AskId = i64;

/// When failures are too many.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Failed containers within `interval` that are borne; one more, and the application gives up.
    pub failures_max: usize,
    /// For how long a failure counts.
    pub interval: Duration,
    /// Failures on one node within `interval` after which it is avoided, for that long.
    pub node_failures_max: usize,
}

/// Where a container should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The node, by the name that the scheduler has for it.
    pub node: String,
    /// Its rack.
    pub rack: String,
    /// Whether nowhere else will do.
    pub only: bool,
}

/// How many containers of a kind there should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How many.
    pub count: usize,
    /// Where, if that matters: the first that holds none of the others is taken for the next ask.
    pub places: Vec<Place>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<Id> {
    /// There should be so many containers of a kind. Fewer than run already ends none: that is [`Event::Return`].
    Wanted(Kind, Wish),
    /// A container came, for the ask with this number.
    Allocated {
        /// The container.
        id: Id,
        /// What it was asked for as.
        ask: AskId,
        /// The node's name for the scheduler.
        node: String,
    },
    /// A container of an earlier attempt of this ApplicationMaster still runs. YARN keeps those whose nodes had
    /// reported that they run; it ends one that was started within the last heartbeat.
    Found {
        /// The container.
        id: Id,
        /// What it was asked for as.
        kind: Kind,
        /// The node's name for the scheduler.
        node: String,
    },
    /// A container ended, or couldn't be started.
    Ended {
        /// The container.
        id: Id,
        /// How.
        end: End,
        /// Why, in YARN's words.
        diagnostics: String,
    },
    /// A container isn't needed any more; say before that fewer are wanted.
    Return(Id),
    /// The ResourceManager was restarted and has forgotten what it was asked.
    Resync,
    /// So many nodes are there.
    Nodes(usize),
    /// Time has passed.
    Tick,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit status; that it wasn't told to is a failure, also with 0.
    Exited(i32),
    /// It used more memory than it had asked for.
    OverMemory,
    /// YARN took it away: preempted, its node lost, or released. Nobody's failure.
    Taken,
    /// The node's disks failed.
    Disks,
    /// It couldn't be started.
    NotStarted,
}

impl End {
    /// From YARN's exit status (`ContainerExitStatus`).
    pub fn from_status(status: i32) -> End {
        match status {
            -100 | -102 | -108..=-105 => End::Taken,
            -101 => End::Disks,
            -103 | -104 => End::OverMemory,
            status => End::Exited(status),
        }
    }

    fn is_failure(self) -> bool {
        matches!(self, End::Exited(_) | End::OverMemory | End::NotStarted)
    }

    fn is_against_node(self) -> bool {
        self.is_failure() || self == End::Disks
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<Id> {
    /// Ask for one container.
    Ask {
        /// Under this number.
        ask: AskId,
        /// Of this kind.
        kind: Kind,
        /// Where.
        place: Option<Place>,
    },
    /// Take an ask back.
    Cancel {
        /// Its number.
        ask: AskId,
        /// Its kind.
        kind: Kind,
        /// Where it was.
        place: Option<Place>,
    },
    /// Start what the kind is for.
    Launch(Id, Kind),
    /// Give a container back.
    Release(Id),
    /// Let YARN allocate nothing on this node.
    Avoid(String),
    /// Let YARN use this node again.
    Readmit(String),
    /// The application has failed, for this reason. Nothing is asked for any more.
    GiveUp(String),
}

/// The containers of an application: wanted, asked for, and held.
#[derive(Clone, Debug)]
pub struct Containers<Id> {
    limits: Limits,
    wanted: BTreeMap<Kind, Wish>,
    asks: BTreeMap<AskId, (Kind, Option<Place>)>,
    held: BTreeMap<Id, (Kind, String)>,
    last_ask: AskId,
    failures: VecDeque<Failure>,
    avoided: BTreeMap<String, Duration>,
    nodes: usize,
    gave_up: bool,
}

#[derive(Clone, Debug)]
struct Failure {
    at: Duration,
    node: String,
    counts: bool,
    what: String,
}

impl<Id: Ord + Clone + std::fmt::Display> Containers<Id> {
    /// No containers yet.
    pub fn new(limits: Limits) -> Containers<Id> {
        Containers {
            limits,
            wanted: BTreeMap::new(),
            asks: BTreeMap::new(),
            held: BTreeMap::new(),
            last_ask: 0,
            failures: VecDeque::new(),
            avoided: BTreeMap::new(),
            nodes: 0,
            gave_up: false,
        }
    }

    /// How many containers of a kind are held.
    pub fn held(&self, kind: Kind) -> usize {
        self.held.values().filter(|(held, _)| *held == kind).count()
    }

    /// How many containers of a kind are asked for and not there.
    pub fn asked(&self, kind: Kind) -> usize {
        self.asks.values().filter(|(asked, _)| *asked == kind).count()
    }

    /// What to do after `event`, which happened at `now`, on a clock that doesn't go back.
    pub fn decide(&mut self, event: Event<Id>, now: Duration) -> Vec<Command<Id>> {
        let mut commands = Vec::new();
        match event {
            Event::Wanted(kind, wish) => drop(self.wanted.insert(kind, wish)),
            Event::Allocated { id, ask, node } => commands.push(self.allocated(id, ask, node)),
            Event::Found { id, kind, node } => drop(self.held.insert(id, (kind, node))),
            Event::Ended { id, end, diagnostics } => self.ended(&id, end, &diagnostics, now, &mut commands),
            Event::Return(id) => {
                if self.held.remove(&id).is_some() {
                    commands.push(Command::Release(id));
                }
            }
            Event::Resync => {
                let asks = self.asks.iter();
                commands.extend(asks.map(|(ask, (kind, place))| Command::Ask {
                    ask: *ask,
                    kind: *kind,
                    place: place.clone(),
                }));
                commands.extend(self.avoided.keys().cloned().map(Command::Avoid));
            }
            Event::Nodes(nodes) => self.nodes = nodes,
            Event::Tick => {}
        }
        self.forget_old(now, &mut commands);
        self.adjust(&mut commands);
        commands
    }

    fn allocated(&mut self, id: Id, ask: AskId, node: String) -> Command<Id> {
        match self.asks.remove(&ask) {
            Some((kind, _)) => {
                self.held.insert(id.clone(), (kind, node));
                Command::Launch(id, kind)
            }
            None => Command::Release(id),
        }
    }

    fn ended(&mut self, id: &Id, end: End, diagnostics: &str, now: Duration, commands: &mut Vec<Command<Id>>) {
        // One that was given back ends too.
        let Some((_, node)) = self.held.remove(id) else { return };
        if end == End::NotStarted {
            commands.push(Command::Release(id.clone()));
        }
        if !end.is_against_node() {
            return;
        }
        let diagnostics = diagnostics.trim();
        let what = format!("{id} on {node}: {end:?}{}{diagnostics}", if diagnostics.is_empty() { "" } else { ", " });
        self.failures.push_back(Failure { at: now, node: node.clone(), counts: end.is_failure(), what });
        self.forget_old(now, commands);
        self.judge_node(node, now, commands);
        let failures: Vec<&Failure> = self.failures.iter().filter(|failure| failure.counts).collect();
        if let Some(last) = failures.last().filter(|_| failures.len() > self.limits.failures_max && !self.gave_up) {
            commands.push(Command::GiveUp(format!(
                "{} containers failed within {} s; {} are borne; the last was {}",
                failures.len(),
                self.limits.interval.as_secs(),
                self.limits.failures_max,
                last.what
            )));
            self.gave_up = true;
        }
    }

    /// Avoids a node that keeps failing, as long as at least half of them stay.
    fn judge_node(&mut self, node: String, now: Duration, commands: &mut Vec<Command<Id>>) {
        let failures = self.failures.iter().filter(|failure| failure.node == node).count();
        let enough_left = (self.avoided.len() + 1) * 2 <= self.nodes;
        if failures < self.limits.node_failures_max || self.avoided.contains_key(&node) || !enough_left {
            return;
        }
        self.avoided.insert(node.clone(), now + self.limits.interval);
        // An ask that insists on the node would wait for as long as it is avoided; one that only prefers it goes
        // elsewhere.
        commands.push(Command::Avoid(node));
    }

    fn forget_old(&mut self, now: Duration, commands: &mut Vec<Command<Id>>) {
        let interval = self.limits.interval;
        while self.failures.front().is_some_and(|failure| failure.at + interval <= now) {
            self.failures.pop_front();
        }
        let over: Vec<String> = self.avoided.extract_if(.., |_, until| *until <= now).map(|(node, _)| node).collect();
        commands.extend(over.into_iter().map(Command::Readmit));
    }

    /// Asks for what is missing, and takes back what is asked for too much.
    fn adjust(&mut self, commands: &mut Vec<Command<Id>>) {
        let kinds: BTreeSet<Kind> = self.wanted.keys().copied().collect();
        for kind in kinds {
            let wanted = if self.gave_up { 0 } else { self.wanted.get(&kind).map_or(0, |wish| wish.count) };
            let missing = wanted.saturating_sub(self.held(kind));
            for _ in self.asked(kind)..missing {
                self.last_ask += 1;
                let (ask, place) = (self.last_ask, self.free_place(kind));
                self.asks.insert(ask, (kind, place.clone()));
                commands.push(Command::Ask { ask, kind, place });
            }
            for _ in missing..self.asked(kind) {
                // The youngest has waited least.
                let youngest = self.asks.iter().rfind(|(_, (asked, _))| *asked == kind).map(|(ask, _)| *ask);
                let Some(ask) = youngest else { break };
                let place = self.asks.remove(&ask).and_then(|(_, place)| place);
                commands.push(Command::Cancel { ask, kind, place });
            }
        }
    }

    /// A place of the wish at which there are fewer containers, held or asked for, than the wish names it.
    fn free_place(&self, kind: Kind) -> Option<Place> {
        let places = &self.wanted.get(&kind)?.places;
        let taken = |node: &str| {
            let held = self.held.values().filter(|(held, at)| *held == kind && at == node).count();
            let at_node = |place: &Option<Place>| place.as_ref().is_some_and(|place| place.node == node);
            held + self.asks.values().filter(|(asked, place)| *asked == kind && at_node(place)).count()
        };
        let named = |node: &str| places.iter().filter(|place| place.node == node).count();
        let is_free = |place: &&Place| {
            let usable = place.only || !self.avoided.contains_key(&place.node);
            usable && taken(&place.node) < named(&place.node)
        };
        places.iter().find(is_free).cloned()
    }
}

#[cfg(test)]
mod tests;
