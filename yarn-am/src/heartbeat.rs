//! Between the decisions about containers and YARN's messages: what the next heartbeat says, and what its answer means.

use crate::containers::{AskId, Command, End, Event, Kind, Place};
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::error::Result;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::token::Token;
use std::collections::{BTreeMap, BTreeSet};

/// Anywhere in the cluster.
const ANYWHERE: &str = "*";

/// What containers of a kind are made of.
#[derive(Clone, Debug)]
pub struct Size {
    /// Memory and cores.
    pub resource: ResourceProto,
    /// The label of the nodes that will do.
    pub node_label: Option<String>,
}

/// Collects what the next `allocate` says.
#[derive(Debug, Default)]
pub struct Heartbeat {
    sizes: BTreeMap<Kind, Size>,
    asks: Vec<ResourceRequestProto>,
    releasing: BTreeSet<ContainerIdProto>,
    unsent_releases: Vec<ContainerIdProto>,
    avoid: Vec<String>,
    readmit: Vec<String>,
    response_id: i32,
    names_have_ports: bool,
}

/// What an answer of the ResourceManager brought.
#[derive(Debug, Default)]
pub struct Answer {
    /// For [`Containers::decide`](crate::containers::Containers::decide), in this order.
    pub events: Vec<Event<ContainerIdProto>>,
    /// The containers that were allocated, as starting them needs them.
    pub containers: Vec<ContainerProto>,
    /// Tokens for nodes: for those that weren't talked to before, and new ones for others.
    pub tokens: Vec<(NodeIdProto, Token)>,
}

impl Heartbeat {
    /// Nothing to say yet. Whether node names have ports depends on `yarn.scheduler.include-port-in-node-name`.
    pub fn new(conf: &Configuration) -> Result<Heartbeat> {
        let names_have_ports = conf.flag("yarn.scheduler.include-port-in-node-name", false)?;
        Ok(Heartbeat { names_have_ports, ..Heartbeat::default() })
    }

    /// Says what a kind is, before it is asked for.
    pub fn set_size(&mut self, kind: Kind, size: Size) {
        self.sizes.insert(kind, size);
    }

    /// The scheduler's name of a node.
    pub fn node_name(&self, node: &NodeIdProto) -> String {
        if self.names_have_ports { node.to_string() } else { node.host().to_owned() }
    }

    /// Takes a command that the ResourceManager has to hear of; gives back one that it hasn't.
    pub fn take(&mut self, command: Command<ContainerIdProto>) -> Option<Command<ContainerIdProto>> {
        match command {
            Command::Ask { ask, kind, place } => self.ask(ask, kind, place, 1),
            Command::Cancel { ask, kind, place } => self.ask(ask, kind, place, 0),
            Command::Release(id) => {
                self.unsent_releases.push(id);
                self.releasing.insert(id);
            }
            Command::Avoid(node) => self.avoid.push(node),
            Command::Readmit(node) => self.readmit.push(node),
            other => return Some(other),
        }
        None
    }

    /// The next request. It has to be sent until it is answered, or [`Heartbeat::resync`] called.
    pub fn request(&mut self, progress: f32) -> AllocateRequestProto {
        let blacklist_additions = std::mem::take(&mut self.avoid);
        let blacklist_removals = std::mem::take(&mut self.readmit);
        let changes = !blacklist_additions.is_empty() || !blacklist_removals.is_empty();
        AllocateRequestProto {
            ask: std::mem::take(&mut self.asks),
            release: std::mem::take(&mut self.unsent_releases),
            blacklist_request: changes
                .then_some(ResourceBlacklistRequestProto { blacklist_additions, blacklist_removals }),
            response_id: Some(self.response_id),
            progress: Some(progress),
            tracking_url: None,
        }
    }

    /// What the answer to the last request means.
    pub fn answered(&mut self, response: AllocateResponseProto) -> Answer {
        self.response_id = response.response_id();
        let mut events = vec![Event::Nodes(response.num_cluster_nodes() as usize)];
        for status in &response.completed_container_statuses {
            let id = status.container_id.unwrap_or_default();
            self.releasing.remove(&id);
            let end = End::from_status(status.exit_status());
            events.push(Event::Ended { id, end, diagnostics: status.diagnostics().to_owned() });
        }
        let allocated = response.allocated_containers.iter().map(|container| Event::Allocated {
            id: container.id.unwrap_or_default(),
            ask: container.allocation_request_id(),
            node: self.node_name(&container.node_id.clone().unwrap_or_default()),
        });
        events.extend(allocated);
        events.extend(self.found(&response.containers_from_previous_attempts));
        let token = |token: NmTokenProto| Some((token.node_id?, token.token?.into()));
        Answer {
            events,
            tokens: response.nm_tokens.into_iter().filter_map(token).collect(),
            containers: response.allocated_containers,
        }
    }

    /// Containers that an earlier attempt has left running; they come with the answer to `register`, and with later
    /// ones as nodes find their way back.
    pub fn found(&self, containers: &[ContainerProto]) -> Vec<Event<ContainerIdProto>> {
        let found = |container: &ContainerProto| Event::Found {
            id: container.id.unwrap_or_default(),
            kind: container.priority.unwrap_or_default().priority() as Kind,
            node: self.node_name(&container.node_id.clone().unwrap_or_default()),
        };
        containers.iter().map(found).collect()
    }

    /// The ResourceManager has forgotten us, and we have registered again: begins anew, with all releases that have not
    /// been confirmed. Asks come again from the decisions, after [`Event::Resync`].
    pub fn resync(&mut self) -> Event<ContainerIdProto> {
        self.response_id = 0;
        self.asks.clear();
        (self.avoid, self.readmit) = (Vec::new(), Vec::new());
        self.unsent_releases = self.releasing.iter().copied().collect();
        Event::Resync
    }

    /// An ask for one container, or for none any more: at its node, in the rack, and anywhere. All three are needed,
    /// also when only the node will do: the ResourceManager counts them together.
    fn ask(&mut self, ask: AskId, kind: Kind, place: Option<Place>, count: i32) {
        let size = self.sizes.get(&kind).expect("a kind has a size before it is asked for");
        let elsewhere = place.as_ref().is_none_or(|place| !place.only);
        let request = |name: &str, relax: bool| ResourceRequestProto {
            priority: Some(PriorityProto { priority: Some(kind as i32) }),
            resource_name: Some(name.to_owned()),
            capability: Some(size.resource),
            num_containers: Some(count),
            relax_locality: Some(relax),
            node_label_expression: size.node_label.clone(),
            allocation_request_id: Some(ask),
        };
        let requests = place.iter().flat_map(|place| [request(&place.node, true), request(&place.rack, elsewhere)]);
        self.asks.extend(requests.chain([request(ANYWHERE, elsewhere)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::resource;

    fn container(id: i64) -> ContainerIdProto {
        ContainerIdProto { id: Some(id), ..ContainerIdProto::default() }
    }

    fn heartbeat() -> Heartbeat {
        let mut heartbeat = Heartbeat { names_have_ports: true, ..Heartbeat::default() };
        heartbeat.set_size(3, Size { resource: resource(512, 2), node_label: None });
        heartbeat
    }

    #[test]
    fn an_ask_names_node_rack_and_everything_once() {
        let mut heartbeat = heartbeat();
        let place = Place { node: "h:1".to_owned(), rack: "/r".to_owned(), only: true };
        assert_eq!(heartbeat.take(Command::Ask { ask: 9, kind: 3, place: Some(place) }), None);
        let request = heartbeat.request(0.5);
        let asks: Vec<_> = request.ask.iter().map(|ask| (ask.resource_name(), ask.relax_locality())).collect();
        assert_eq!(asks, [("h:1", true), ("/r", false), ("*", false)]);
        assert!(request.ask.iter().all(|ask| ask.allocation_request_id() == 9 && ask.num_containers() == 1));
        assert!(heartbeat.request(0.5).ask.is_empty());
        heartbeat.take(Command::Cancel { ask: 9, kind: 3, place: None });
        let request = heartbeat.request(0.5);
        assert_eq!((request.ask[0].num_containers(), request.ask[0].relax_locality()), (0, true));
    }

    #[test]
    fn containers_of_an_earlier_attempt_keep_their_kind() {
        let left = ContainerProto {
            id: Some(container(1)),
            node_id: Some(NodeIdProto { host: Some("h".to_owned()), port: Some(1) }),
            priority: Some(PriorityProto { priority: Some(3) }),
            ..ContainerProto::default()
        };
        let found = heartbeat().found(&[left]);
        assert!(matches!(&found[..], [Event::Found { kind: 3, node, .. }] if node == "h:1"), "{found:?}");
    }

    #[test]
    fn releases_are_said_again_until_the_end_is_confirmed() {
        let mut heartbeat = heartbeat();
        heartbeat.take(Command::Release(container(1)));
        heartbeat.take(Command::Release(container(2)));
        heartbeat.take(Command::Avoid("a".to_owned()));
        let request = heartbeat.request(0.0);
        assert_eq!((request.release.len(), request.blacklist_request.unwrap().blacklist_additions.len()), (2, 1));
        assert_eq!(heartbeat.request(0.0).blacklist_request, None);
        let status = ContainerStatusProto {
            container_id: Some(container(1)),
            exit_status: Some(-100),
            ..ContainerStatusProto::default()
        };
        let answer = heartbeat.answered(AllocateResponseProto {
            response_id: Some(4),
            completed_container_statuses: vec![status],
            ..AllocateResponseProto::default()
        });
        assert!(matches!(answer.events[1], Event::Ended { end: End::Taken, .. }), "{:?}", answer.events);
        assert_eq!(heartbeat.request(0.0).response_id(), 4);
        heartbeat.resync();
        let request = heartbeat.request(0.0);
        assert_eq!((request.response_id(), request.release), (0, vec![container(2)]));
        assert_eq!(heartbeat.take(Command::Launch(container(3), 3)), Some(Command::Launch(container(3), 3)));
    }
}
