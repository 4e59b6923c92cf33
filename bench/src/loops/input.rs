//! The inputs of the loops: two graphs and points in the plane, each as text for the examples and in binary for
//! programs that only the loop is measured of.
//!
//! In binary, an edge is two `u32` and a point two `f64`, little-endian. The text has the same records in the same
//! order, and no point loses digits in it.

use std::fs;
use std::io::{Read, Result as IoResult, Write};
use std::path::Path;

use crate::cli::about;
use crate::files::write_once;
use crate::rng::{SEED, SplitMix64};

/// The folder of these inputs among the others.
pub const FOLDER: &str = "loops";
/// Centres that the points lie around, and starting centroids.
const CENTERS: usize = 20;
/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// An edge: the ids of its source and its destination.
pub type Edge = [u32; 2];

/// A point: its x and its y.
pub type Point = [f64; 2];

/// How much of everything is made.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The RMAT graph has two to the power of this vertices.
    scale: u32,
    /// Edges of the RMAT graph.
    edges: usize,
    /// The grid has so many rows of so many vertices.
    side: u32,
    /// Points.
    points: usize,
}

/// The size that is measured.
pub const FULL: Size = Size { scale: 20, edges: 1 << 24, side: 1000, points: 5_000_000 };

/// The size for quick checks.
pub const SMALL: Size = Size { scale: 12, edges: 1 << 16, side: 60, points: 20_000 };

impl Size {
    /// Vertices of the RMAT graph; all smaller numbers are ids, whether they have an edge or not.
    pub fn rmat_vertices(self) -> u32 {
        1 << self.scale
    }

    /// Vertices of the grid; all smaller numbers are ids.
    pub fn grid_vertices(self) -> u32 {
        self.side * self.side
    }

    /// Writes the inputs that are not yet in `directory`; returns the number of rows written.
    pub fn write(self, directory: &Path) -> Result<usize, String> {
        fs::create_dir_all(directory).map_err(about(directory.display()))?;
        let path = |name: &str| directory.join(name);
        let mut rows = write_once(path("rmat.txt"), |out| edge_lines(out, self.rmat()))?;
        rows += write_once(path("rmat.bin"), |out| edge_bytes(out, self.rmat()))?;
        rows += write_once(path("grid.txt"), |out| grid_lines(out, self.side))?;
        rows += write_once(path("grid.bin"), |out| edge_bytes(out, grid(self.side)))?;
        rows += write_once(path("points.csv"), |out| point_lines(out, self.points()))?;
        rows += write_once(path("points.bin"), |out| point_bytes(out, self.points()))?;
        rows += write_once(path("centers.csv"), |out| center_lines(out, self.points().take(CENTERS)))?;
        Ok(rows)
    }

    /// A graph with few vertices of very many edges; edges come more than once, and from a vertex to itself.
    ///
    /// For every bit of the two ids, from the highest, one of four quarters is drawn with the shares .57, .19, .19 and
    /// .05, so small ids have the most edges.
    fn rmat(self) -> impl Iterator<Item = Edge> {
        let mut random = SplitMix64::new(SEED);
        (0..self.edges).map(move |_| {
            (0..self.scale).fold([0, 0], |[source, destination], _| {
                let draw = random.unit();
                let low = draw >= 0.76;
                let right = (0.57..0.76).contains(&draw) || draw >= 0.95;
                [source << 1 | u32::from(low), destination << 1 | u32::from(right)]
            })
        })
    }

    /// Points around centres, in millionths; they come in no order, so the first ones serve as starting centroids.
    fn points(self) -> impl Iterator<Item = Point> {
        /// How far the points are from their centres, as a standard deviation; the centres are in a square of 1000.
        const SPREAD: f64 = 35.0;
        let mut random = SplitMix64::new(SEED + 2);
        let centers: Vec<Point> = (0..CENTERS).map(|_| [random.unit() * 1e3, random.unit() * 1e3]).collect();
        (0..self.points).map(move |_| {
            let center = centers[random.below(CENTERS as u64) as usize];
            // The sum of twelve has a variance of 1.
            let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
            center.map(|coordinate| ((coordinate + SPREAD * normal()) * 1e6).round() / 1e6)
        })
    }
}

/// A square grid with shuffled ids, each undirected edge once: nearly all vertices have four, and paths are long.
fn grid(side: u32) -> impl Iterator<Item = Edge> {
    let mut ids: Vec<u32> = (0..side * side).collect();
    let mut random = SplitMix64::new(SEED + 1);
    for last in (1..ids.len()).rev() {
        ids.swap(last, random.below(last as u64 + 1) as usize);
    }
    (0..side * side).flat_map(move |place| {
        let id = |place: u32| ids[place as usize];
        let right = (place % side + 1 < side).then(|| [id(place), id(place + 1)]);
        let below = (place / side + 1 < side).then(|| [id(place), id(place + side)]);
        right.into_iter().chain(below)
    })
}

/// Writes the edges of a grid with `side` rows of so many vertices as text; returns their number.
pub fn grid_lines(out: &mut impl Write, side: u32) -> IoResult<usize> {
    edge_lines(out, grid(side))
}

/// Writes items by `write`; returns their number.
fn each<W: Write, T>(
    out: &mut W,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut W, T) -> IoResult<()>,
) -> IoResult<usize> {
    let mut count = 0;
    for item in items {
        write(out, item)?;
        count += 1;
    }
    Ok(count)
}

fn edge_lines(out: &mut impl Write, edges: impl Iterator<Item = Edge>) -> IoResult<usize> {
    each(out, edges, |out, [source, destination]| writeln!(out, "{source} {destination}"))
}

fn edge_bytes(out: &mut impl Write, edges: impl Iterator<Item = Edge>) -> IoResult<usize> {
    each(out, edges, |out, edge| out.write_all(edge.map(u32::to_le_bytes).as_flattened()))
}

fn point_lines(out: &mut impl Write, points: impl Iterator<Item = Point>) -> IoResult<usize> {
    each(out, points, |out, [x, y]| writeln!(out, "{x},{y}"))
}

fn point_bytes(out: &mut impl Write, points: impl Iterator<Item = Point>) -> IoResult<usize> {
    each(out, points, |out, point| out.write_all(point.map(f64::to_le_bytes).as_flattened()))
}

fn center_lines(out: &mut impl Write, centers: impl Iterator<Item = Point>) -> IoResult<usize> {
    each(out, centers.enumerate(), |out, (id, [x, y])| writeln!(out, "{id},{x},{y}"))
}

/// The edges of a binary file; errors unless all ids are below `vertices`.
pub fn read_edges(path: &Path, vertices: u32) -> Result<Vec<Edge>, String> {
    let edges = read(path, |bytes: [u8; 8]| {
        let [s0, s1, s2, s3, d0, d1, d2, d3] = bytes;
        [u32::from_le_bytes([s0, s1, s2, s3]), u32::from_le_bytes([d0, d1, d2, d3])]
    })?;
    match edges.as_flattened().iter().max() {
        Some(&most) if most >= vertices => Err(format!("{}: there is no vertex {most}", path.display())),
        _ => Ok(edges),
    }
}

/// The points of a binary file.
pub fn read_points(path: &Path) -> Result<Vec<Point>, String> {
    read(path, |bytes: [u8; 16]| {
        let (halves, _) = bytes.as_chunks::<8>();
        [f64::from_le_bytes(halves[0]), f64::from_le_bytes(halves[1])]
    })
}

/// The centroids of a text file, whose ids must be 0, 1, 2 and so on.
pub fn read_centers(path: &Path) -> Result<Vec<Point>, String> {
    let text = fs::read_to_string(path).map_err(about(path.display()))?;
    let center = |(number, line): (usize, &str)| {
        let mut fields = line.split(',');
        let id = fields.next()?.parse::<usize>().ok()?;
        let point = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
        (id == number && fields.next().is_none()).then_some(point)
    };
    let centers: Option<Vec<Point>> = text.lines().enumerate().map(center).collect();
    centers.filter(|centers| !centers.is_empty()).ok_or_else(|| format!("{}: no centroids", path.display()))
}

/// The records of a file of `BYTES` bytes each.
fn read<T, const BYTES: usize>(path: &Path, decode: impl Fn([u8; BYTES]) -> T) -> Result<Vec<T>, String> {
    let mut file = fs::File::open(path).map_err(about(path.display()))?;
    let bytes = file.metadata().map_err(about(path.display()))?.len() as usize;
    if !bytes.is_multiple_of(BYTES) {
        return Err(format!("{}: {bytes} bytes are not whole records of {BYTES}", path.display()));
    }
    let mut records = Vec::with_capacity(bytes / BYTES);
    let mut buffer = vec![0; BUFFER.min(bytes)];
    let mut left = bytes;
    while left > 0 {
        let block = &mut buffer[..BUFFER.min(left)];
        file.read_exact(block).map_err(about(path.display()))?;
        left -= block.len();
        records.extend(block.as_chunks::<BYTES>().0.iter().map(|&record| decode(record)));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_text_have_the_same_records() -> Result<(), String> {
        let folder = std::env::temp_dir().join(format!("flinkrs-bench-loops-{}", std::process::id()));
        let rows = SMALL.write(&folder)?;
        assert_eq!(rows, 2 * (SMALL.edges + 2 * 60 * 59 + SMALL.points) + CENTERS);
        let lines = |name: &str| fs::read_to_string(folder.join(name)).map_err(about(name));
        for (name, vertices) in [("rmat", SMALL.rmat_vertices()), ("grid", SMALL.grid_vertices())] {
            let edges = read_edges(&folder.join(format!("{name}.bin")), vertices)?;
            let text: String = edges.iter().map(|[source, destination]| format!("{source} {destination}\n")).collect();
            assert!(text == lines(&format!("{name}.txt"))?, "{name}");
        }
        let points = read_points(&folder.join("points.bin"))?;
        let text: String = points.iter().map(|[x, y]| format!("{x},{y}\n")).collect();
        assert!(text == lines("points.csv")?);
        assert_eq!(read_centers(&folder.join("centers.csv"))?, points[..CENTERS]);
        assert!(read_edges(&folder.join("rmat.bin"), 7).is_err_and(|message| message.contains("no vertex")));
        fs::remove_dir_all(&folder).map_err(about("remove"))
    }

    #[test]
    fn quarters_of_the_graph_have_their_shares() {
        let half = SMALL.rmat_vertices() / 2;
        let mut counts = [0; 4];
        for [source, destination] in SMALL.rmat() {
            counts[2 * usize::from(source >= half) + usize::from(destination >= half)] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.57, 0.19, 0.19, 0.05]) {
            assert!((f64::from(count) / SMALL.edges as f64 - share).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn the_grid_has_every_edge_once() {
        let mut edges: Vec<Edge> =
            grid(SMALL.side).map(|[source, destination]| [source.min(destination), source.max(destination)]).collect();
        let mut degrees = vec![0; SMALL.grid_vertices() as usize];
        edges.as_flattened().iter().for_each(|&id| degrees[id as usize] += 1);
        edges.sort_unstable();
        edges.dedup();
        assert_eq!(edges.len(), 2 * 60 * 59);
        assert_eq!(
            [2, 3, 4].map(|wanted| degrees.iter().filter(|&&degree| degree == wanted).count()),
            [4, 4 * 58, 58 * 58]
        );
    }
}
