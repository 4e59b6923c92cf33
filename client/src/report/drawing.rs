//! Draws the plan: a box per operator, from the sources down to the sinks, and an arrow per edge.

use crate::report::html::{cut, escape};
use crate::report::layout::{Layout, layout};
use crate::report::plan::{PlanEdge, PlanNode};

const BOX_WIDTH: f64 = 250.0;
const BOX_HEIGHT: f64 = 66.0;
const GAP_X: f64 = 28.0;
const GAP_Y: f64 = 62.0;
const MARGIN: f64 = 8.0;

/// Characters that fit into a box.
const BOX_COLUMNS: usize = 30;

/// Characters of an arrow's label.
const LABEL_COLUMNS: usize = 44;

/// The picture of a plan, as SVG.
pub(super) fn draw(nodes: &[PlanNode]) -> String {
    if nodes.is_empty() {
        return "<p class=\"faint\">The plan lists no operators.</p>\n".to_owned();
    }
    let inputs = nodes.iter().enumerate().flat_map(|(to, node)| node.inputs.iter().map(move |input| (to, input)));
    let inputs: Vec<(usize, &PlanEdge)> = inputs.collect();
    let edges: Vec<(usize, usize)> = inputs.iter().map(|(to, input)| (input.from, *to)).collect();
    let layout = layout(nodes.len(), &edges, BOX_WIDTH, GAP_X);
    let width = layout.width + 2.0 * MARGIN;
    let height = layout.layers as f64 * (BOX_HEIGHT + GAP_Y) - GAP_Y + 2.0 * MARGIN;
    let arrow = |((_, input), route): (&(usize, &PlanEdge), &Vec<usize>)| arrow(input, route, &layout);
    let arrows: String = inputs.iter().zip(&layout.routes).map(arrow).collect();
    let boxes: String = nodes.iter().enumerate().map(|(i, node)| operator(node, i, &layout)).collect();
    format!(
        "<div class=\"wide\"><svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         role=\"img\" aria-label=\"plan\">\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path class=\"head\" d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>\n\
         {arrows}{boxes}</svg></div>\n\
         <p class=\"faint\">Dashed arrows are blocking: the consumer begins when the producer has ended. \
         Point at a box for its estimated sizes and costs.</p>\n"
    )
}

fn operator(node: &PlanNode, index: usize, layout: &Layout) -> String {
    let (middle, y) = point(layout, index);
    let x = middle - BOX_WIDTH / 2.0;
    let mut title = vec![node.name.clone()];
    title.extend(node.details.iter().cloned());
    let line = |dy: f64, class: &str, text: &str| {
        let text = escape(&cut(text, BOX_COLUMNS));
        format!("<text class=\"{class}\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>", y + dy)
    };
    let how = if node.driver.is_empty() { &node.kind } else { &node.driver };
    format!(
        "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" \
         rx=\"6\"/>{}{}{}</g>\n",
        escape(&title.join("\n")),
        line(20.0, "name", &node.name),
        line(38.0, "", how),
        line(55.0, "faint", &format!("parallelism {}", node.parallelism)),
    )
}

/// A line from the producer's lower edge through the places of its route to the consumer's upper edge.
fn arrow(edge: &PlanEdge, route: &[usize], layout: &Layout) -> String {
    let (rank, count) = rank(route, layout);
    let last = route.len() - 1;
    let (x, y) = point(layout, route[0]);
    let (mut before, mut at) = ((x, y), (x, y + BOX_HEIGHT));
    let mut path = format!("M{:.1},{:.1}", at.0, at.1);
    for (i, place) in route.iter().enumerate().skip(1) {
        before = at;
        at = point(layout, *place);
        if i == last {
            // The edges of one consumer arrive side by side.
            at.0 += BOX_WIDTH * 0.6 * ((rank as f64 + 0.5) / count as f64 - 0.5);
        }
        let middle = f64::midpoint(before.1, at.1);
        path += &format!(" C{:.1},{middle:.1} {:.1},{middle:.1} {:.1},{:.1}", before.0, at.0, at.0, at.1);
        if i < last {
            at.1 += BOX_HEIGHT;
            path += &format!(" L{:.1},{:.1}", at.0, at.1);
        }
    }
    let class = if edge.blocking { " class=\"blocking\"" } else { "" };
    // Labels stand near the consumer, where the edges of one producer have parted, each second one a line higher.
    let (x, y) = (0.35 * before.0 + 0.65 * at.0, 0.35 * before.1 + 0.65 * at.1 - 15.0 * (rank % 2) as f64);
    let text = if edge.local.is_empty() { edge.ship.clone() } else { format!("{}, {}", edge.ship, edge.local) };
    let text = escape(&cut(&text, LABEL_COLUMNS));
    format!(
        "<path{class} d=\"{path}\" marker-end=\"url(#head)\"/>\
         <text class=\"ship\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>\n"
    )
}

/// Which of its consumer's edges this is, from the left, and how many there are.
fn rank(route: &[usize], layout: &Layout) -> (usize, usize) {
    let siblings = layout.routes.iter().enumerate().filter(|(_, other)| other.last() == route.last());
    let from = |route: &[usize]| layout.places[route[route.len() - 2]].x;
    let mut siblings: Vec<(f64, usize)> = siblings.map(|(i, other)| (from(other), i)).collect();
    siblings.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mine = siblings.iter().position(|(_, i)| std::ptr::eq(layout.routes[*i].as_slice(), route));
    (mine.unwrap_or(0), siblings.len().max(1))
}

/// The middle of a place's upper edge.
fn point(layout: &Layout, place: usize) -> (f64, f64) {
    let place = layout.places[place];
    (place.x + MARGIN, place.layer as f64 * (BOX_HEIGHT + GAP_Y) + MARGIN)
}
