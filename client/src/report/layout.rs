//! Where things stand in the picture: layers by the longest path from a source, edges straight from layer to layer.
//!
//! An edge that crosses a layer gets a place there, as if it were a narrow node, so that it runs past the boxes.

/// A graph, by positions in the list of its nodes; edges go from producer to consumer.
pub(super) struct Layout {
    /// What stands where: first the nodes, then the places of long edges.
    pub(super) places: Vec<Place>,
    /// Per edge, the places it passes through, producer first.
    pub(super) routes: Vec<Vec<usize>>,
    /// The picture's width.
    pub(super) width: f64,
    /// How many layers there are.
    pub(super) layers: usize,
}

/// A place in the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Counted from the sources.
    pub(super) layer: usize,
    /// The middle, from the left.
    pub(super) x: f64,
    width: f64,
}

/// Room that an edge takes when it passes between boxes.
const EDGE_WIDTH: f64 = 24.0;

/// Rounds of ordering and of placing; more change nothing in plans of any usual size.
const ROUNDS: usize = 6;

/// Places `count` nodes of a width, `gap` apart.
pub(super) fn layout(count: usize, edges: &[(usize, usize)], node_width: f64, gap: f64) -> Layout {
    let layers_of = longest_paths(count, edges);
    let place = |layer, width| Place { layer, x: 0.0, width };
    let mut places: Vec<Place> = layers_of.iter().map(|layer| place(*layer, node_width)).collect();
    let mut routes = Vec::with_capacity(edges.len());
    for (from, to) in edges {
        let mut route = vec![*from];
        for layer in layers_of[*from] + 1..layers_of[*to] {
            route.push(places.len());
            places.push(place(layer, EDGE_WIDTH));
        }
        route.push(*to);
        routes.push(route);
    }
    let layers = layers_of.iter().max().map_or(0, |last| last + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layers];
    for (i, place) in places.iter().enumerate() {
        rows[place.layer].push(i);
    }
    let neighbours = Neighbours::new(places.len(), &routes);
    for row in &rows {
        pack(row, &mut places, gap);
    }
    for round in 0..ROUNDS {
        let down = round % 2 == 0;
        for i in 0..layers {
            let row = &mut rows[if down { i } else { layers - 1 - i }];
            let above = if down { &neighbours.before } else { &neighbours.after };
            align(row, &mut places, above, gap);
        }
    }
    let left = places.iter().map(|place| place.x - place.width / 2.0).fold(f64::INFINITY, f64::min);
    let right = places.iter().map(|place| place.x + place.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
    places.iter_mut().for_each(|place| place.x -= left);
    Layout { places, routes, width: (right - left).max(0.0), layers }
}

/// Per node the number of edges on the longest path to it.
fn longest_paths(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0; count];
    // As many rounds as the longest path can have edges; a circle, which no plan has, would end there too.
    for _ in 1..count {
        let mut changed = false;
        for (from, to) in edges {
            if layers[*to] <= layers[*from] {
                layers[*to] = (layers[*from] + 1).min(count - 1);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    layers
}

/// Which places each place is connected to.
struct Neighbours {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Neighbours {
    fn new(count: usize, routes: &[Vec<usize>]) -> Neighbours {
        let mut neighbours = Neighbours { before: vec![Vec::new(); count], after: vec![Vec::new(); count] };
        for pair in routes.iter().flat_map(|route| route.windows(2)) {
            neighbours.after[pair[0]].push(pair[1]);
            neighbours.before[pair[1]].push(pair[0]);
        }
        neighbours
    }
}

/// One beside the other, from the left.
fn pack(row: &[usize], places: &mut [Place], gap: f64) {
    let mut left = 0.0;
    for &i in row {
        places[i].x = left + places[i].width / 2.0;
        left += places[i].width + gap;
    }
}

/// Moves each place of a row to the mean of its neighbours, and apart from one another where they would overlap.
fn align(row: &mut [usize], places: &mut [Place], neighbours: &[Vec<usize>], gap: f64) {
    let mean = |i: usize, places: &[Place]| match neighbours[i].len() {
        0 => places[i].x,
        count => neighbours[i].iter().map(|near| places[*near].x).sum::<f64>() / count as f64,
    };
    let mut wanted: Vec<(f64, usize)> = row.iter().map(|i| (mean(*i, places), *i)).collect();
    wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut end = f64::NEG_INFINITY;
    let mut shift = 0.0;
    for ((x, i), slot) in wanted.iter().zip(row.iter_mut()) {
        let half = places[*i].width / 2.0;
        places[*i].x = x.max(end + gap + half);
        end = places[*i].x + half;
        shift += places[*i].x - x;
        *slot = *i;
    }
    // What was pushed to the right is taken back for the row as a whole.
    shift /= wanted.len().max(1) as f64;
    row.iter().for_each(|i| places[*i].x -= shift);
}
