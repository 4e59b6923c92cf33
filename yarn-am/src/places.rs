//! On which nodes containers are asked for first: those near the job's input, then those with room.

use flinkrs_protocol::JobGraph;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A node as YARN reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What the scheduler calls it.
    pub name: String,
    /// Its rack.
    pub rack: String,
    /// Its host, as splits name hosts.
    pub host: String,
    /// Memory that no container has, in MB.
    pub free_mb: i64,
}

/// Bytes of input by host.
pub type Near = BTreeMap<String, u64>;

/// How many bytes of a job's input lie on each host.
pub fn near(graph: &JobGraph) -> Near {
    let mut near = Near::new();
    for split in graph.vertices.iter().filter_map(|vertex| vertex.source.as_ref()).flat_map(|source| &source.splits) {
        for host in &split.hosts {
            *near.entry(host.clone()).or_default() += split.bytes;
        }
    }
    near
}

/// The nodes, best first, for containers of `wanted_mb`: those that have room for one, of them those with most input,
/// and of these those with most room.
pub fn best_first(mut nodes: Vec<Node>, near: &Near, wanted_mb: i64) -> Vec<Node> {
    nodes.sort_by_key(|node| {
        let bytes = near.get(&node.host).copied().unwrap_or(0);
        Reverse((node.free_mb >= wanted_mb, bytes, node.free_mb))
    });
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, free_mb: i64) -> Node {
        let text = || name.to_owned();
        Node { name: text(), rack: "/rack".to_owned(), host: text(), free_mb }
    }

    fn order(nodes: &[(&str, i64)], near: &[(&str, u64)]) -> Vec<String> {
        let nodes = nodes.iter().map(|(name, free)| node(name, *free)).collect();
        let near = near.iter().map(|(host, bytes)| ((*host).to_owned(), *bytes)).collect();
        best_first(nodes, &near, 1000).into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn input_comes_before_room_and_room_before_none() {
        assert_eq!(order(&[("a", 2000), ("b", 8000), ("c", 4000)], &[]), ["b", "c", "a"]);
        assert_eq!(order(&[("a", 2000), ("b", 8000), ("c", 4000)], &[("a", 10), ("c", 20)]), ["c", "a", "b"]);
        // One that is full would be waited for.
        assert_eq!(order(&[("a", 999), ("b", 8000), ("c", 1000)], &[("a", 30)]), ["b", "c", "a"]);
    }
}
