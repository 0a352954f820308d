//! Labels: candidates scored together and one by one, and wrong labels that are indeed wrong.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::init::Init;
use burn_forward::network::{AnyLayer, Candidates, Layer, LayerExport, MlpConfig, Partition};
use burn_forward::pieces::goodness::Goodness;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::tape::Tape;
use serde_json::{Value, json};

use super::toy::{CLASSES, INPUT, batch, devices, mlp, model_of, on_all_devices, seed};
use burn_forward_testing::values::{assert_close, features, numbers};

const NORMALISERS: [Normalisation; 4] =
    [Normalisation::None, Normalisation::Rms, Normalisation::L2, Normalisation::LayerNorm];

/// A layer with the default `trace_candidates` of the trait, which is the definition.
#[derive(Module, Debug)]
struct Literal {
    layer: AnyLayer,
}

impl Layer for Literal {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
    fn describe(&self) -> String {
        self.layer.describe()
    }
    fn macs_per_row(&self) -> usize {
        self.layer.macs_per_row()
    }
    fn output(&self) -> RowShape {
        self.layer.output()
    }
    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        self.layer.trace(input, bias)
    }
    fn export(&self) -> LayerExport {
        self.layer.export()
    }
}

fn draw(rows: usize, columns: usize, name: &str, device: &Device) -> Tensor<2> {
    Init::Normal(1.0).draw([rows, columns], &mut seed().stream(name, &[]), device).unwrap()
}

#[test]
fn candidates_together_are_candidates_one_by_one() {
    let (count, width) = (5, 10);
    for (name, device) in devices() {
        let x = batch(6, 0, &device).inputs;
        let rows = x.rows();
        let (inputs, biases) = (draw(count, INPUT.len(), "inputs", &device), draw(count, width, "biases", &device));
        for normalisation in NORMALISERS {
            let net = MlpConfig { normalisation, ..mlp(&[width]) };
            let layer = net.layers(INPUT, seed(), &device).unwrap().remove(0);
            for (with_inputs, with_drives) in [(true, false), (false, true), (true, true), (false, false)] {
                let what = format!("{name} {normalisation:?}, inputs {with_inputs}, biases {with_drives}");
                let candidates = Candidates {
                    count,
                    inputs: with_inputs.then(|| inputs.clone()),
                    biases: with_drives.then(|| biases.clone()),
                };
                let fast = layer.trace_candidates(&x, &candidates);
                let literal = Literal { layer: layer.clone() }.trace_candidates(&x, &candidates);
                let z = |trace: &Trace<AnyActivation>| features(&trace.units.clone().unwrap().pre_activation);
                assert_close(&z(&fast), &z(&literal), 1e-5, &what);
                assert_close(&features(&fast.output), &features(&literal.output), 1e-5, &what);

                // Both equal one pass per candidate, where row `b count + c` is candidate `c` of row `b`.
                for c in 0..count {
                    let row = |t: &Tensor<2>| t.clone().slice([c..c + 1, 0..t.dims()[1]]).repeat_dim(0, rows);
                    let added = candidates.inputs.iter().fold(x.features(), |x, i| x + row(i));
                    let one = layer.trace(x.with_features(added), candidates.biases.as_ref().map(row));
                    let one = features(&one.units.unwrap().pre_activation);
                    let all = z(&fast);
                    for b in 0..rows {
                        let at = (b * count + c) * width;
                        assert_close(&all[at..at + width], &one[b * width..][..width], 1e-5, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn the_energy_of_a_label_is_the_goodness_of_a_pass_with_it() {
    let goodness = [
        Goodness::SumSquares,
        Goodness::MeanSquares,
        Goodness::NegativeSumSquares,
        Goodness::Length,
        Goodness::Mean,
        Goodness::TopK,
        Goodness::Entmax,
        Goodness::Burst,
    ];
    for goodness in goodness {
        for label in [json!({"name": "overlay", "strength": 0.7}), json!({"name": "per-layer"})] {
            let settings: Value = json!({"goodness": goodness, "label-injection": label, "first-block": 1});
            for case in on_all_devices("forward-forward", &settings) {
                for normalisation in [Normalisation::Rms, Normalisation::L2, Normalisation::LayerNorm] {
                    let net = MlpConfig { normalisation, ..mlp(&[20, 19, 18]) };
                    let model = model_of(&case, &net, Partition::LAYER, seed());
                    let batch = batch(7, 0, case.device());
                    let scores = model.scores(batch.inputs.clone());
                    for c in 0..CLASSES {
                        let mut labelled = batch.clone();
                        labelled.targets = Tensor::<1, Int>::full([7], c as i32, case.device());
                        let passes = model.rule.activities(&model.network, &labelled);
                        let blocks: Vec<Vec<f32>> = passes.iter().map(|h| numbers(goodness.of(h.features()))).collect();
                        let what = format!("{case} {normalisation:?}, label {c}");
                        let column = |t: Tensor<2>| numbers(t.slice([0..7, c..c + 1]));
                        for (swept, one) in scores.blocks.iter().zip(&blocks) {
                            assert_close(&column(swept.clone().unwrap()), one, 1e-5, &what);
                        }
                        let energy: Vec<f32> = (0..7).map(|b| blocks[1][b] + blocks[2][b]).collect();
                        assert_close(&column(scores.primary()), &energy, 1e-5, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn negatives_are_never_the_label() {
    for negatives in ["wrong", "hard"] {
        for case in on_all_devices("forward-forward", &json!({"negatives": negatives})) {
            // A head that is certain of the correct class is the hardest test for sampling a wrong one.
            let model = burn_forward_testing::values::perturb(case.model(seed()).unwrap(), |path| {
                path.starts_with("rule.softmax")
            });
            for index in 0..20 {
                let batch = batch(50, index, case.device());
                let context = model.context(&batch);
                let pass = model.rule.begin(&model.network, &batch, context, &mut Tape::new(()));
                let labels = numbers(batch.targets.float());
                let wrong = numbers(pass.signals.classes("negatives").cloned().unwrap().float());
                for (y, n) in labels.iter().zip(&wrong) {
                    assert!(y != n && (0..CLASSES).any(|c| c as f32 == *n), "{case}: negative {n} of label {y}");
                }
                let unlike: std::collections::BTreeSet<i32> = wrong.iter().map(|n| *n as i32).collect();
                assert_eq!(unlike.len(), CLASSES, "{case}: batch {index} has negatives {unlike:?} only");
            }
        }
    }
}

#[test]
fn the_two_streams_differ_in_the_label_alone() {
    for case in on_all_devices("forward-forward", &json!({})) {
        let batch = batch(24, 0, case.device());
        let model = case.model(seed()).unwrap();
        let pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()));
        let image = features(&batch.inputs);
        for (stream, labels) in
            pass.streams.iter().zip([batch.targets.clone(), pass.signals.classes("negatives").cloned().unwrap()])
        {
            let mut expected = image.clone();
            for (row, y) in expected.chunks_mut(INPUT.len()).zip(numbers(labels.float())) {
                (0..CLASSES).for_each(|c| row[c] = if y == c as f32 { 1.0 } else { 0.0 });
            }
            let expected: TensorData = TensorData::new(expected, [24, INPUT.len()]);
            assert_eq!(stream.features().into_data(), expected, "{case}");
        }
    }
}
