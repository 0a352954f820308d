//! Force-directed placement of the nodes of a small graph.
//!
//! The method is that of Fruchterman and Reingold, "Graph Drawing by Force-directed Placement", Software: Practice and
//! Experience 21, 1991, with a weak pull towards the centre, which keeps unconnected parts of a graph in the picture.

use rand::RngExt;

use burn_forward::random::Seed;

/// Number of steps. In each step a node moves at most by the temperature, which falls to 0.
const STEPS: usize = 600;
/// Initial temperature, for a picture of width 1.
const HOT: f64 = 0.1;
/// Pull towards the centre, relative to a node's distance from it.
const GRAVITY: f64 = 0.4;

/// Places in `[0, 1] x [0, 1]`, which are stretched from 0 to 1 in both dimensions. The same graph always gets the same
/// places.
///
/// Edges to nodes that do not exist are ignored.
pub(super) fn places(nodes: usize, edges: &[(usize, usize)]) -> Vec<(f64, f64)> {
    let mut rng = Seed::new(0).stream("layout", &[nodes as u64]);
    let mut at: Vec<(f64, f64)> =
        (0..nodes).map(|_| (rng.random_range(0.0..1.0), rng.random_range(0.0..1.0))).collect();
    let ideal = 1.0 / (nodes.max(1) as f64).sqrt();
    for step in 0..STEPS {
        let temperature = HOT * (1.0 - step as f64 / STEPS as f64);
        let mut forces: Vec<(f64, f64)> = at.iter().map(|(x, y)| (GRAVITY * (0.5 - x), GRAVITY * (0.5 - y))).collect();
        for i in 0..nodes {
            for j in 0..i {
                // Repulsion: the square of the ideal distance divided by the distance.
                let (dx, dy) = (at[i].0 - at[j].0, at[i].1 - at[j].1);
                let push = ideal * ideal / (dx * dx + dy * dy).max(1e-9);
                forces[i] = (forces[i].0 + push * dx, forces[i].1 + push * dy);
                forces[j] = (forces[j].0 - push * dx, forces[j].1 - push * dy);
            }
        }
        for &(a, b) in edges.iter().filter(|(a, b)| *a < nodes && *b < nodes) {
            // Attraction: the square of the distance divided by the ideal distance.
            let (dx, dy) = (at[b].0 - at[a].0, at[b].1 - at[a].1);
            let pull = dx.hypot(dy) / ideal;
            forces[a] = (forces[a].0 + pull * dx, forces[a].1 + pull * dy);
            forces[b] = (forces[b].0 - pull * dx, forces[b].1 - pull * dy);
        }
        for ((x, y), (fx, fy)) in at.iter_mut().zip(forces) {
            let scale = temperature / fx.hypot(fy).max(temperature);
            (*x, *y) = (*x + scale * fx, *y + scale * fy);
        }
    }
    spread(at)
}

/// Stretches the places over `[0, 1]` in both dimensions, with the wider one horizontal.
fn spread(mut at: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let range = |values: Vec<f64>| {
        let (low, high) = values.into_iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        (low, (high - low).max(1e-9))
    };
    // Rotated so that the longest extent of the graph is horizontal.
    let n = at.len().max(1) as f64;
    let (mx, my) = (at.iter().map(|p| p.0).sum::<f64>() / n, at.iter().map(|p| p.1).sum::<f64>() / n);
    let moment = |f: fn(f64, f64) -> f64| at.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
    let angle = 0.5 * (2.0 * moment(|x, y| x * y)).atan2(moment(|x, y| x * x - y * y));
    let (sin, cos) = angle.sin_cos();
    at.iter_mut().for_each(|p| *p = (cos * p.0 + sin * p.1, cos * p.1 - sin * p.0));
    let (left, width) = range(at.iter().map(|p| p.0).collect());
    let (low, height) = range(at.iter().map(|p| p.1).collect());
    at.into_iter().map(|(x, y)| ((x - left) / width, (y - low) / height)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
        (a.0 - b.0).hypot(a.1 - b.1)
    }

    #[test]
    fn two_cliques_lie_apart() {
        let clique = |first: usize| (0..5).flat_map(move |i| (0..i).map(move |j| (first + i, first + j)));
        let edges: Vec<_> = clique(0).chain(clique(5)).chain([(0, 5)]).collect();
        let at = places(10, &edges);
        let mean = |same: bool| {
            let pairs = (0..10).flat_map(|i| (0..i).map(move |j| (i, j))).filter(|(i, j)| (i / 5 == j / 5) == same);
            let distances: Vec<f64> = pairs.map(|(i, j)| distance(at[i], at[j])).collect();
            distances.iter().sum::<f64>() / distances.len() as f64
        };
        assert!(mean(false) > 1.5 * mean(true), "{} between, {} within", mean(false), mean(true));
        assert_eq!(at, places(10, &edges));
    }

    #[test]
    fn everything_is_within_the_picture_and_apart() {
        for (nodes, edges) in [(0, vec![]), (1, vec![]), (2, vec![(0, 1)]), (6, vec![(0, 1), (2, 9)])] {
            let at = places(nodes, &edges);
            assert!(at.iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)), "{at:?}");
            for i in 0..nodes {
                assert!((0..i).all(|j| distance(at[i], at[j]) > 0.02), "{at:?}");
            }
        }
    }
}
