//! The picture of a small graph: its edges and the predicted classes.

use super::html::{Html, figure_with_key, marks};
use super::layout;
use super::palette::Ink;
use super::plot::{self, Dot};
use super::run_files::{GraphNode, RecordedGraph};
use burn_forward::Result;

/// Colour of a class.
fn ink(class: usize) -> Ink {
    Ink::series(class)
}

/// Nodes have the colour of the predicted class. Those whose class was known are square; wrong ones have a ring in the
/// colour of the true class.
pub(super) fn picture(graph: &RecordedGraph) -> Result<Html> {
    let edges: Vec<(usize, usize)> = graph.edges.iter().map(|[a, b]| (*a, *b)).collect();
    let at = layout::places(graph.nodes.len(), &edges);
    let dot = |(i, (node, at)): (usize, (&GraphNode, &(f64, f64)))| Dot {
        at: *at,
        label: i.to_string(),
        fill: node.predicted.or(node.class.filter(|_| node.known)).map(ink),
        ring: node.class.filter(|class| node.predicted.is_some_and(|p| p != *class)).map(ink),
        square: node.known,
    };
    let dots: Vec<Dot> = graph.nodes.iter().zip(&at).enumerate().map(dot).collect();
    let classes = graph.nodes.iter().flat_map(|n| [n.class, n.predicted]).flatten().max().map_or(0, |c| c + 1);
    let wrong = dots.iter().filter(|d| d.ring.is_some()).count();
    let mut key: Vec<(Ink, &str, Html)> =
        (0..classes).map(|class| (ink(class), "dot", Html::text(format!("class {class}")))).collect();
    if dots.iter().any(|d| d.square) {
        key.push((Ink::Label, "dot square", Html::text("class was known")));
    }
    if dots.iter().any(|d| d.fill.is_none()) {
        key.push((Ink::Label, "dot hollow", Html::text("not tested")));
    }
    if wrong > 0 {
        key.push((Ink::Label, "dot ringed", Html::text("wrong: the ring has the colour of the true class")));
    }
    let svg = plot::graph("The graph", &dots, &edges)?;
    let asked = graph.nodes.iter().filter(|n| n.predicted.is_some()).count();
    let caption = format!("{} nodes and {} edges; {} of {asked} right", dots.len(), edges.len(), asked - wrong);
    Ok(figure_with_key(caption, marks(key), &svg))
}
