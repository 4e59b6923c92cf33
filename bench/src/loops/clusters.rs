//! Points by their nearest centroid: what both programs of k-means do with a slice of points.

use std::array;

use super::input::Point;

/// Points whose distances are found together: two of the widest vectors.
const LANES: usize = 16;
/// What the ids of centroids are added to as floats: where a float's lowest bits are a number.
const FIRST_ID: f64 = (1u64 << f64::MANTISSA_DIGITS >> 1) as f64;

/// The points of a cluster: the sums of their coordinates, and their number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cluster {
    /// The sum of all x.
    pub x: f64,
    /// The sum of all y.
    pub y: f64,
    /// How many points there are.
    pub points: f64,
}

impl Cluster {
    /// Takes in the points of another.
    #[inline]
    pub fn add(&mut self, other: Cluster) {
        self.x += other.x;
        self.y += other.y;
        self.points += other.points;
    }
}

/// The clusters of some points, by the widest vectors that this processor has.
pub fn clusters(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { clusters_in_512_bits(points, centers) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { clusters_in_256_bits(points, centers) };
        }
    }
    clusters_in_any(points, centers)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn clusters_in_512_bits(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    clusters_in_any(points, centers)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn clusters_in_256_bits(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    clusters_in_any(points, centers)
}

/// The clusters of some points; always inlined, to be compiled for what the caller is compiled for.
#[inline(always)]
fn clusters_in_any(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    // Clusters of their own for every lane: one point needn't wait for the sums of the one before.
    let mut lanes = vec![[Cluster::default(); LANES]; centers.len()];
    let (blocks, rest) = points.as_chunks::<LANES>();
    for block in blocks {
        let ids = nearest(block, centers);
        for lane in 0..LANES {
            let [x, y] = block[lane];
            lanes[ids[lane].to_bits() as u32 as usize][lane].add(Cluster { x, y, points: 1.0 });
        }
    }
    for &[x, y] in rest {
        let [id, ..] = nearest(&[[x, y]; LANES], centers);
        lanes[id.to_bits() as u32 as usize][0].add(Cluster { x, y, points: 1.0 });
    }
    let sum = |lanes: [Cluster; LANES]| {
        let mut all = Cluster::default();
        lanes.into_iter().for_each(|lane| all.add(lane));
        all
    };
    lanes.into_iter().map(sum).collect()
}

/// The ids of the nearest centroids, each added to [`FIRST_ID`]: as wide as distances, they stay in vector registers.
#[inline(always)]
fn nearest(points: &[Point; LANES], centers: &[Point]) -> [f64; LANES] {
    let (xs, ys) = (points.map(|[x, _]| x), points.map(|[_, y]| y));
    let (mut least, mut nearest) = ([f64::INFINITY; LANES], [FIRST_ID; LANES]);
    let mut id = FIRST_ID;
    for &[x, y] in centers {
        let distances: [f64; LANES] = array::from_fn(|lane| {
            let (dx, dy) = (xs[lane] - x, ys[lane] - y);
            dx * dx + dy * dy
        });
        nearest = array::from_fn(|lane| if distances[lane] < least[lane] { id } else { nearest[lane] });
        least = array::from_fn(|lane| if distances[lane] < least[lane] { distances[lane] } else { least[lane] });
        id += 1.0;
    }
    nearest
}
