//! A block learns from its own inputs and loss, and from nothing else.

use burn_forward::activation::{AnyActivation, FeatureCache};
use burn_forward::data::{Batch, DataSplit};
use burn_forward::model::LocalModel;
use burn_forward::tape::Tape;

use super::toy::{CLASSES, Case, batch, cases, node_data, seed};
use burn_forward_testing::values::{Values, edit, gradients, of_block};

fn learned(model: &LocalModel, batch: &Batch) -> Values {
    gradients(model, &model.learn(batch).grads).unwrap()
}

#[test]
fn blocks_above_have_no_say() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    // Some rules use a pass of the whole network, and top-down signals are the states of the blocks above.
    let has_say = |c: &Case| c.spec().reach().reads_above() || c.settings.get("top-down").is_some();
    for case in cases().into_iter().filter(|c| c.spec().reach().is_local() && !has_say(c)) {
        let base = learned(&case.model(seed(), CLASSES), &batch);
        let blocks = case.model(seed(), CLASSES).network.len();
        for k in 0..blocks {
            let moved = edit(case.model(seed(), CLASSES), |path, values| {
                let above = (k + 1..blocks).any(|j| path.starts_with(&format!("network.blocks.{j}.")));
                let head = (0..blocks).any(|j| j != k && path.starts_with(&format!("rule.heads.{j}.")));
                if above || head {
                    values.iter_mut().for_each(|v| *v = 0.7 * *v + 0.1);
                }
            });
            let mine = of_block(&learned(&moved, &batch), k);
            assert!(!mine.is_empty(), "{case}: block {k} learns nothing");
            assert_eq!(of_block(&base, k), mine, "{case}: block {k}");
        }
    }
}

#[test]
fn a_block_that_makes_only_the_rows_that_are_read_learns_the_same() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    let mut tried = Vec::new();
    for case in cases().into_iter().filter(|c| c.spec().greedy().is_ok()) {
        let model = case.model(seed(), CLASSES);
        for index in 0..model.network.len() {
            let mut pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()));
            for (i, below) in model.network.blocks()[..index].iter().enumerate() {
                model.rule.advance(i, below, &mut pass);
            }
            let learned =
                |pass| of_block(&gradients(&model, &model.learn_block(index, pass, batch.key).grads).unwrap(), index);
            let mut reading = pass.clone();
            for stream in &mut reading.streams {
                let read = model.rule.required_rows(stream);
                if let (Some(read), AnyActivation::Nodes(nodes)) = (read, stream) {
                    assert!(read.rows().len() < nodes.features.rows(), "{case}");
                    nodes.feature_cache = Some(FeatureCache::for_rows(read));
                    tried.push(case.rule.clone());
                }
            }
            let (all, ours) = (learned(pass), learned(reading));
            assert!(!all.is_empty() && all.keys().eq(ours.keys()), "{case}: block {index}");
            for (path, a) in &all {
                for (a, b) in a.iter().zip(&ours[path]) {
                    assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{case}: {path}: {b}, not {a}");
                }
            }
        }
    }
    tried.dedup();
    for rule in ["single-forward", "graph-forward-forward"] {
        assert!(tried.iter().any(|t| t == rule), "{rule} makes all rows");
    }
}

#[test]
fn a_local_gradient_is_the_slope_of_the_blocks_own_loss() {
    const STEP: f32 = 5e-3;
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    let (mut wrong, mut compared, mut bent) = (Vec::new(), 0, 0);
    // The loss of direct feedback is that of all nodes, and an estimate along random directions is not a slope.
    let others = ["dfa", "drtp", "zeroth-order"];
    for case in cases().into_iter().filter(|c| c.spec().reach().is_local() && !others.contains(&c.rule.as_str())) {
        let model = case.model(seed(), CLASSES);
        for index in 0..model.network.len() {
            let learn = |model: &LocalModel| {
                let start = case.model(seed(), CLASSES);
                let mut pass = start.rule.begin(&start.network, &batch, start.context(&batch), &mut Tape::new(()));
                for (i, below) in start.network.blocks()[..index].iter().enumerate() {
                    start.rule.advance(i, below, &mut pass);
                }
                let mut tape = Tape::new(());
                model.rule.learn_block(index, &model.network.blocks()[index], &mut pass, &mut tape);
                tape
            };
            let total = |m: &LocalModel| {
                learn(m).records().iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).sum::<f64>()
            };
            let found = gradients(&model, learn(&model).gradients()).unwrap();
            for (path, gradient) in of_block(&found, index) {
                let mut entries: Vec<usize> = (0..gradient.len()).collect();
                entries.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
                for entry in entries.into_iter().take(5) {
                    let at = |step: f32| {
                        total(&edit(model.clone(), |p, v| {
                            if p == path {
                                v[entry] += step;
                            }
                        }))
                    };
                    let (below, here, above) = (at(-STEP), at(0.0), at(STEP));
                    let (left, right) = ((here - below) / STEP as f64, (above - here) / STEP as f64);
                    let slope = (left + right) / 2.0;
                    // An inner ReLU (of attention, of GIN) has its kink within this step, so there is no slope to compare with.
                    if (left - right).abs() > 0.02 * slope.abs().max(5e-3) {
                        bent += 1;
                        continue;
                    }
                    compared += 1;
                    let got = gradient[entry] as f64;
                    // Not "further away": NaN is neither near nor far.
                    let near = (got - slope).abs() <= 2e-2 * slope.abs().max(5e-3);
                    if !near {
                        wrong.push(format!("{case}: {path}[{entry}] {got}, slope {slope}"));
                    }
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{compared} slopes compared, {bent} with a bend");
    assert!(compared > 200 && bent < compared / 2, "{compared} slopes compared, {bent} with a bend");
}
