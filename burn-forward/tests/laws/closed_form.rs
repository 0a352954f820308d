//! Gradients computed by hand in `f64`, from the equations of the papers.

use burn_forward::init::InitScheme;
use burn_forward::network::{MlpConfig, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::tape::Tape;
use serde_json::json;

use super::toy::{CLASSES, batch, model_of, on_all_devices, seed};
use burn_forward_testing::values::{Values, assert_close, features, gradients, numbers, parameters};

/// A matrix in row-major order.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    fn new(values: &[f32], columns: usize) -> Self {
        Self { rows: values.len() / columns, columns, values: values.iter().map(|v| *v as f64).collect() }
    }

    fn of(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        let values = (0..rows * columns).map(|i| f(i / columns, i % columns)).collect();
        Self { rows, columns, values }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn transposed(&self) -> Self {
        Self::of(self.columns, self.rows, |i, j| self.at(j, i))
    }

    fn times(&self, other: &Self) -> Self {
        Self::of(self.rows, other.columns, |i, j| (0..self.columns).map(|k| self.at(i, k) * other.at(k, j)).sum())
    }

    fn column_sums(&self) -> Vec<f32> {
        (0..self.columns).map(|j| (0..self.rows).map(|i| self.at(i, j)).sum::<f64>() as f32).collect()
    }

    fn single(&self) -> Vec<f32> {
        self.values.iter().map(|v| *v as f32).collect()
    }
}

/// `(softmax(G) - e_y) / B`.
fn delta(scores: &Matrix, targets: &[usize]) -> Matrix {
    Matrix::of(scores.rows, scores.columns, |i, c| {
        let sum: f64 = (0..scores.columns).map(|k| scores.at(i, k).exp()).sum();
        let own = if targets[i] == c { 1.0 } else { 0.0 };
        (scores.at(i, c).exp() / sum - own) / scores.rows as f64
    })
}

#[test]
fn mono_forward_by_hand() {
    let widths = [10, 9, 8];
    let plain = MlpConfig {
        widths: widths.to_vec(),
        activation: ActivationFn::Relu,
        dropout: 0.0,
        normalisation: Normalisation::None,
        init: InitScheme::Default,
    };
    for case in on_all_devices("mono-forward", &json!({})) {
        let batch = batch(24, 0, case.device());
        let model = model_of(&case, &plain, Partition::LAYER, seed());
        let got = gradients(&model, &model.learn(&batch).grads).unwrap();
        let p = parameters(&model).unwrap();
        let targets: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();

        let mut expected = Values::new();
        let mut a = Matrix::new(&features(&batch.inputs), 16);
        for (i, width) in widths.into_iter().enumerate() {
            let layer = format!("network.blocks.{i}.layers.0.linear");
            let head = format!("rule.heads.{i}.projection.weight");
            let (w, b) = (Matrix::new(&p[&format!("{layer}.weight")], width), &p[&format!("{layer}.bias")]);
            let m = Matrix::new(&p[&head], CLASSES);
            let product = a.times(&w);
            let z = Matrix::of(product.rows, width, |r, j| product.at(r, j) + b[j] as f64);
            let h = Matrix::of(z.rows, width, |r, j| z.at(r, j).max(0.0));
            let delta = delta(&h.times(&m), &targets);
            let dh = delta.times(&m.transposed());
            let dz = Matrix::of(z.rows, width, |r, j| if z.at(r, j) > 0.0 { dh.at(r, j) } else { 0.0 });
            expected.insert(head, h.transposed().times(&delta).single());
            expected.insert(format!("{layer}.weight"), a.transposed().times(&dz).single());
            expected.insert(format!("{layer}.bias"), dz.column_sums());
            a = h;
        }
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
        for (path, values) in expected {
            assert_close(&got[&path], &values, 1e-5, &format!("{case}: {path}"));
        }
    }
}

#[test]
fn the_softmax_head_learns_its_own_error() {
    for case in on_all_devices("forward-forward", &json!({})) {
        let batch = batch(24, 0, case.device());
        let model = case.model(seed()).unwrap();
        let mut tape = Tape::new(());
        let pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut tape);
        let targets: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();
        let logits = Matrix::new(&numbers(pass.logits.unwrap()), CLASSES);
        let got = gradients(&model, tape.gradients()).unwrap();
        assert_close(&got["rule.softmax.bias"], &delta(&logits, &targets).column_sums(), 1e-5, &case.to_string());
    }
}
