//! The names of applications, attempts, containers and nodes, as Hadoop prints them.

use super::proto::yarn::{ApplicationAttemptIdProto, ApplicationIdProto, ContainerIdProto, NodeIdProto};
use std::cmp::Ordering;
use std::fmt::{Display, Formatter, Result};

/// How many bits of a container's number count containers; the others are the epoch of the ResourceManager.
const CONTAINER_BITS: u32 = 40;

impl Display for ApplicationIdProto {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "application_{}_{:04}", self.cluster_timestamp(), self.id())
    }
}

impl Display for ApplicationAttemptIdProto {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let application = self.application_id.unwrap_or_default();
        let (start, id) = (application.cluster_timestamp(), application.id());
        write!(f, "appattempt_{start}_{id:04}_{:06}", self.attempt_id())
    }
}

impl Display for ContainerIdProto {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let attempt = self.app_attempt_id.unwrap_or_default();
        let application = attempt.application_id.unwrap_or_default();
        let (start, id, attempt) = (application.cluster_timestamp(), application.id(), attempt.attempt_id());
        let (epoch, number) = (self.id() >> CONTAINER_BITS, self.id() & ((1 << CONTAINER_BITS) - 1));
        let epoch = if epoch > 0 { format!("e{epoch:02}_") } else { String::new() };
        write!(f, "container_{epoch}{start}_{id:04}_{attempt:02}_{number:06}")
    }
}

/// As `host:port`: the address of the NodeManager, and the name under which a container is asked for there.
impl Display for NodeIdProto {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}:{}", self.host(), self.port())
    }
}

impl ContainerIdProto {
    /// Everything it consists of, in the order by which containers are sorted.
    fn key(&self) -> impl Ord + use<> {
        let application = |id: Option<ApplicationIdProto>| id.map(|id| (id.cluster_timestamp, id.id));
        let attempt = self.app_attempt_id.map(|attempt| (application(attempt.application_id), attempt.attempt_id));
        (attempt, application(self.app_id), self.id)
    }
}

impl PartialOrd for ContainerIdProto {
    fn partial_cmp(&self, other: &ContainerIdProto) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ContainerIdProto {
    fn cmp(&self, other: &ContainerIdProto) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl ApplicationIdProto {
    /// Reads `application_START_NUMBER`; `None` if it is something else.
    pub fn parse(text: &str) -> Option<ApplicationIdProto> {
        let (start, id) = text.strip_prefix("application_")?.split_once('_')?;
        Some(ApplicationIdProto { cluster_timestamp: Some(start.parse().ok()?), id: Some(id.parse().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hadoop() {
        let application_id = ApplicationIdProto { id: Some(7), cluster_timestamp: Some(1700000000000) };
        let attempt = ApplicationAttemptIdProto { application_id: Some(application_id), attempt_id: Some(1) };
        let container = |id| ContainerIdProto { app_id: None, app_attempt_id: Some(attempt), id: Some(id) };
        assert_eq!(application_id.to_string(), "application_1700000000000_0007");
        assert_eq!(attempt.to_string(), "appattempt_1700000000000_0007_000001");
        assert_eq!(container(2).to_string(), "container_1700000000000_0007_01_000002");
        assert_eq!(container(4398046511106).to_string(), "container_e04_1700000000000_0007_01_000002");
        assert!(container(2) < container(3) && container(3) < container(4398046511106));
        assert_eq!(ApplicationIdProto::parse(&application_id.to_string()), Some(application_id));
        assert_eq!(ApplicationIdProto::parse("application_7"), None);
    }
}
