//! A graph's index: for every vertex, where its arcs lead.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use super::input::Edge;
use crate::parallel::parallel;

/// The ends of all arcs, those of a vertex next to each other.
#[derive(Debug)]
pub struct Csr {
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Csr {
    /// The index of the arcs that `arcs` makes of every edge, built by `threads` threads.
    ///
    /// Each thread counts the arcs of its share of the edges first, so that it then knows where they go without asking
    /// the others.
    pub fn new<const ARCS: usize>(
        vertices: u32,
        edges: &[Edge],
        threads: usize,
        arcs: impl Fn(Edge) -> [Edge; ARCS] + Sync,
    ) -> Result<Csr, String> {
        let all = edges.len() * ARCS;
        if u32::try_from(all).is_err() {
            return Err(format!("{all} arcs are too many"));
        }
        let shares: Vec<&[Edge]> = edges.chunks(edges.len().div_ceil(threads).max(1)).collect();
        let mut next = counts(vertices, shares.clone(), |edge| arcs(edge).map(|[source, _]| source))?;
        let starts = places(vertices, &mut next);
        let mut ends = vec![0; all];
        let shared = atomics(&mut ends);
        parallel(shares.into_iter().zip(next).collect(), |(edges, mut next)| {
            for [source, end] in edges.iter().flat_map(|&edge| arcs(edge)) {
                let place = &mut next[source as usize];
                shared[*place as usize].store(end, Ordering::Relaxed);
                *place += 1;
            }
            Ok(())
        })?;
        Ok(Csr { starts, ends })
    }

    /// The number of vertices.
    pub fn vertices(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the arcs of a vertex lead.
    #[inline]
    pub fn of(&self, vertex: usize) -> &[u32] {
        &self.ends[self.starts[vertex] as usize..self.starts[vertex + 1] as usize]
    }

    /// Cuts the vertices into at most `parts` ranges with about as many arcs and vertices each.
    pub fn ranges(&self, parts: usize) -> Vec<Range<usize>> {
        let work = |vertex: usize| self.starts[vertex] as usize + vertex;
        let (all, mut ranges) = (work(self.vertices()), Vec::with_capacity(parts));
        let mut start = 0;
        for part in 1..=parts {
            let (mut end, mut above) = (start, self.vertices());
            while end < above {
                let middle = (end + above).div_ceil(2);
                if work(middle) <= all * part / parts { end = middle } else { above = middle - 1 }
            }
            if end > start {
                ranges.push(start..end);
            }
            start = end;
        }
        ranges
    }
}

/// How many edges leave each vertex.
pub fn degrees(vertices: u32, edges: &[Edge], threads: usize) -> Result<Vec<u32>, String> {
    let shares = edges.chunks(edges.len().div_ceil(threads).max(1)).collect();
    let mut counted = counts(vertices, shares, |[source, _]| [source])?.into_iter();
    let mut degrees = counted.next().unwrap_or_else(|| vec![0; vertices as usize]);
    for more in counted {
        degrees.iter_mut().zip(more).for_each(|(degree, more)| *degree += more);
    }
    Ok(degrees)
}

/// For each share of the edges, how often every vertex is among those that `of` finds.
fn counts<const COUNT: usize>(
    vertices: u32,
    shares: Vec<&[Edge]>,
    of: impl Fn(Edge) -> [u32; COUNT] + Sync,
) -> Result<Vec<Vec<u32>>, String> {
    parallel(shares, |edges| {
        let mut counts = vec![0u32; vertices as usize];
        edges.iter().flat_map(|&edge| of(edge)).for_each(|vertex| counts[vertex as usize] += 1);
        Ok(counts)
    })
}

/// Turns the counts of every share into the places of its first arcs; returns the first places of all vertices, and
/// behind these the number of arcs.
fn places(vertices: u32, counts: &mut [Vec<u32>]) -> Vec<u32> {
    let mut place = 0;
    let mut starts = Vec::with_capacity(vertices as usize + 1);
    for vertex in 0..vertices as usize {
        starts.push(place);
        for counts in &mut *counts {
            place += std::mem::replace(&mut counts[vertex], place);
        }
    }
    starts.push(place);
    starts
}

/// The same numbers, for threads that write to different ones.
fn atomics(numbers: &mut [u32]) -> &[AtomicU32] {
    let numbers: *mut [u32] = numbers;
    // SAFETY: an `AtomicU32` has the size, the alignment and the valid values of a `u32`, and the borrow is exclusive,
    // so that nobody sees the numbers as anything else while it lasts.
    unsafe { &*(numbers as *const [AtomicU32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [Edge; 6] = [[3, 1], [0, 3], [3, 1], [2, 2], [0, 1], [3, 0]];

    #[test]
    fn every_arc_is_at_its_vertex() -> Result<(), String> {
        for threads in 1..8 {
            let csr = Csr::new(5, &EDGES, threads, |edge| [edge])?;
            let all: Vec<&[u32]> = (0..csr.vertices()).map(|vertex| csr.of(vertex)).collect();
            assert_eq!(all, [&[3, 1][..], &[], &[2], &[1, 1, 0], &[]]);
            let both = Csr::new(5, &EDGES, threads, |[a, b]| [[a, b], [b, a]])?;
            assert_eq!((both.of(1), both.of(2)), (&[3, 3, 0][..], &[2, 2][..]));
            assert_eq!(degrees(5, &EDGES, threads)?, [2, 0, 1, 3, 0]);
        }
        assert!(Csr::new(2, &[], 2, |edge| [edge])?.of(1).is_empty());
        Ok(())
    }

    #[test]
    fn ranges_cover_all_vertices_once() -> Result<(), String> {
        let csr = Csr::new(5, &EDGES, 2, |edge| [edge])?;
        for parts in 1..20 {
            let ranges = csr.ranges(parts);
            assert!(ranges.len() <= parts);
            assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        }
        assert_eq!(csr.ranges(2), [0..2, 2..5]);
        Ok(())
    }
}
