//! Strongly connected components: what can't be put into any order.

/// For each node of a graph the number of its component; nodes that lie on a circle have the same.
///
/// Tarjan's algorithm, without recursion; linear in nodes and arrows.
pub(crate) fn components(arrows: &[Vec<u32>]) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let count = arrows.len();
    let (mut found, mut lowest, mut component) = (vec![NEW; count], vec![NEW; count], vec![NEW; count]);
    let (mut next, mut components) = (0, 0);
    let mut open: Vec<u32> = Vec::new();
    for start in 0..count {
        // Nodes on the path from `start`, each with the position of its next arrow.
        let mut path: Vec<(u32, usize)> = if found[start] == NEW { vec![(start as u32, 0)] } else { Vec::new() };
        while let Some((node, arrow)) = path.pop() {
            let at = node as usize;
            if arrow == 0 {
                (found[at], lowest[at]) = (next, next);
                next += 1;
                open.push(node);
            } else {
                // The arrow before has been followed to its end.
                let to = arrows[at][arrow - 1] as usize;
                if component[to] == NEW {
                    lowest[at] = lowest[at].min(lowest[to]);
                }
            }
            if let Some(to) = arrows[at].get(arrow) {
                path.push((node, arrow + 1));
                if found[*to as usize] == NEW {
                    path.push((*to, 0));
                }
                continue;
            }
            if lowest[at] == found[at] {
                while let Some(member) = open.pop() {
                    component[member as usize] = components;
                    if member == node {
                        break;
                    }
                }
                components += 1;
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_one_component() {
        // 0 → 1 → 2 → 0, 2 → 3 → 4 → 3, 5 alone with itself.
        let component = components(&[vec![1], vec![2], vec![0, 3], vec![4], vec![3], vec![5]]);
        assert!(component[0] == component[1] && component[1] == component[2]);
        assert!(component[3] == component[4] && component[3] != component[0]);
        assert!(component[5] != component[0] && component[5] != component[3]);
    }

    #[test]
    fn long_paths_need_no_stack() {
        const COUNT: u32 = 300_000;
        let arrows: Vec<Vec<u32>> = (0..COUNT).map(|node| vec![(node + 1) % COUNT]).collect();
        assert!(components(&arrows).iter().all(|component| *component == 0));
    }
}
