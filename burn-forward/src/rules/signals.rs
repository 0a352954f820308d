//! Teaching signals, by name, which travel along with the activations.
//!
//! Code that handles a pass (a greedy cache, a schedule, a law) treats signals by their kind, without knowledge of any rule.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor};

use crate::activation::{Activation, AnyActivation};
use crate::block::Trace;
use crate::device::autodiff_leaf;

/// A teaching signal.
#[derive(Debug, Clone)]
pub enum Signal {
    /// A class per row `[B]`.
    Classes(Tensor<1, Int>),
    /// Values per row `[B, d]`, such as an output error or targets.
    Rows(Tensor<2>),
    /// The traces of another pass in every block, with `B` rows each. A trace may contain a graph of the block, which the
    /// block takes when it learns.
    Blocks(Vec<Option<Trace<AnyActivation>>>),
}

impl From<Tensor<1, Int>> for Signal {
    fn from(classes: Tensor<1, Int>) -> Self {
        Self::Classes(classes)
    }
}

impl From<Tensor<2>> for Signal {
    fn from(rows: Tensor<2>) -> Self {
        Self::Rows(rows)
    }
}

impl From<Vec<Trace<AnyActivation>>> for Signal {
    fn from(blocks: Vec<Trace<AnyActivation>>) -> Self {
        Self::Blocks(blocks.into_iter().map(Some).collect())
    }
}

impl Signal {
    /// The signal with its tensors mapped, those of activations by `activation`.
    fn map(
        self,
        classes: impl FnOnce(Tensor<1, Int>) -> Tensor<1, Int>,
        rows: impl FnOnce(Tensor<2>) -> Tensor<2>,
        activation: impl Fn(AnyActivation) -> AnyActivation,
    ) -> Self {
        match self {
            Self::Classes(tensor) => Self::Classes(classes(tensor)),
            Self::Rows(tensor) => Self::Rows(rows(tensor)),
            Self::Blocks(traces) => {
                Self::Blocks(traces.into_iter().map(|trace| trace.map(|trace| trace.map(&activation))).collect())
            }
        }
    }

    fn cat(parts: Vec<Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        Some(match parts.next()? {
            Self::Classes(first) => {
                let rest = parts.filter_map(|part| if let Self::Classes(tensor) = part { Some(tensor) } else { None });
                Self::Classes(Tensor::cat(std::iter::once(first).chain(rest).collect(), 0))
            }
            Self::Rows(first) => {
                let rest = parts.filter_map(|part| if let Self::Rows(tensor) = part { Some(tensor) } else { None });
                Self::Rows(Tensor::cat(std::iter::once(first).chain(rest).collect(), 0))
            }
            Self::Blocks(first) => {
                let rest: Vec<_> = parts
                    .filter_map(|part| if let Self::Blocks(traces) = part { Some(traces) } else { None })
                    .collect();
                let of_block = |(block, first): (usize, &Option<Trace<AnyActivation>>)| {
                    let rest = rest.iter().filter_map(|traces| traces.get(block)?.as_ref());
                    first.as_ref().map(|first| joined(std::iter::once(first).chain(rest)))
                };
                Self::Blocks(first.iter().enumerate().map(of_block).collect())
            }
        })
    }
}

/// Concatenates the rows of several traces of a block. Only the outputs are kept: units are only used in the step that
/// computed them.
fn joined<'a>(traces: impl Iterator<Item = &'a Trace<AnyActivation>>) -> Trace<AnyActivation> {
    let outputs: Vec<&AnyActivation> = traces.map(|trace| &trace.output).collect();
    let features = Tensor::cat(outputs.iter().map(|output| output.features()).collect(), 0);
    outputs[0].with_features(features).into()
}

/// Teaching signals by name.
#[derive(Debug, Clone, Default)]
pub struct Signals(BTreeMap<&'static str, Signal>);

impl Signals {
    /// Adds a signal, or replaces the one with that name.
    pub fn put(&mut self, name: &'static str, signal: impl Into<Signal>) {
        self.0.insert(name, signal.into());
    }

    /// The signal of classes `[B]` called `name`.
    pub fn classes(&self, name: &str) -> Option<&Tensor<1, Int>> {
        self.0.get(name).and_then(|signal| if let Signal::Classes(classes) = signal { Some(classes) } else { None })
    }

    /// The signal of values `[B, d]` called `name`.
    pub fn rows(&self, name: &str) -> Option<&Tensor<2>> {
        self.0.get(name).and_then(|signal| if let Signal::Rows(rows) = signal { Some(rows) } else { None })
    }

    /// The part of the signal called `name` for block `index`.
    pub fn block(&self, name: &str, index: usize) -> Option<&Trace<AnyActivation>> {
        let Some(Signal::Blocks(blocks)) = self.0.get(name) else { return None };
        blocks.get(index)?.as_ref()
    }

    /// Takes the part of the signal called `name` for block `index` out of it; a graph can be run backwards only once.
    pub fn take_block(&mut self, name: &str, index: usize) -> Option<Trace<AnyActivation>> {
        let Some(Signal::Blocks(blocks)) = self.0.get_mut(name) else { return None };
        blocks.get_mut(index)?.take()
    }

    /// Sets the part of the signal called `name` for block `index`; a signal of another kind is replaced.
    pub fn put_block(&mut self, name: &'static str, index: usize, trace: Trace<AnyActivation>) {
        let signal = self.0.entry(name).or_insert_with(|| Signal::Blocks(Vec::new()));
        let mut blocks = match std::mem::replace(signal, Signal::Blocks(Vec::new())) {
            Signal::Blocks(blocks) => blocks,
            Signal::Classes(_) | Signal::Rows(_) => Vec::new(),
        };
        blocks.resize(blocks.len().max(index + 1), None);
        blocks[index] = Some(trace);
        *signal = Signal::Blocks(blocks);
    }

    /// All signals, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Signal)> {
        self.0.iter().map(|(name, signal)| (*name, signal))
    }

    /// The signals after applying `change` to each one.
    #[must_use]
    pub fn map(self, mut change: impl FnMut(&'static str, Signal) -> Signal) -> Self {
        Self(self.0.into_iter().map(|(name, signal)| (name, change(name, signal))).collect())
    }

    /// A signal that does not have one row for each of the `samples` samples: its name, its number of rows, and `samples`.
    pub fn without_rows(&self, samples: usize) -> Option<(&'static str, usize, usize)> {
        self.iter().find_map(|(name, signal)| {
            let rows = |rows: usize| (rows != samples).then_some((name, rows, samples));
            match signal {
                Signal::Classes(classes) => rows(classes.dims()[0]),
                Signal::Rows(values) => rows(values.dims()[0]),
                Signal::Blocks(blocks) => {
                    blocks.iter().flatten().find_map(|trace| rows(trace.output.features().dims()[0]))
                }
            }
        })
    }

    /// The signals of these rows.
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let select =
            |activation: AnyActivation| activation.with_features(activation.features().select(0, rows.clone()));
        self.clone().map(|_, signal| {
            signal.map(|classes| classes.select(0, rows.clone()), |values| values.select(0, rows.clone()), select)
        })
    }

    /// Concatenates the rows of the signals of several passes, which must all have the same signals.
    pub fn cat(parts: Vec<Self>) -> Self {
        let mut all: BTreeMap<&'static str, Vec<Signal>> = BTreeMap::new();
        for (name, signal) in parts.into_iter().flat_map(|part| part.0) {
            all.entry(name).or_default().push(signal);
        }
        Self(all.into_iter().filter_map(|(name, parts)| Some((name, Signal::cat(parts)?))).collect())
    }

    /// The same values without autodiff; graphs are dropped.
    #[must_use]
    pub fn without_autodiff(self) -> Self {
        self.map(|_, signal| {
            signal.map(Tensor::without_autodiff, Tensor::without_autodiff, AnyActivation::without_autodiff)
        })
    }

    /// The same values as leaves of new autodiff graphs on a training `device`.
    #[must_use]
    pub fn with_autodiff(self, device: &Device) -> Self {
        self.map(|_, signal| {
            signal.map(
                |classes| autodiff_leaf(classes, device),
                |rows| autodiff_leaf(rows, device),
                |activation| activation.with_autodiff(device),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    #[test]
    fn signals_of_any_kind_are_joined_and_selected_by_row() {
        let device = Device::flex();
        let part = |values: [f32; 2]| {
            let rows = Tensor::<2>::from_data([[values[0]], [values[1]]], &device);
            let mut signals = Signals::default();
            signals.put("a class", rows.clone().squeeze_dim::<1>(1).int());
            signals.put("an error", rows.clone());
            signals.put("a pass", vec![Trace::from(AnyActivation::Features(rows))]);
            signals
        };
        let all = Signals::cat(vec![part([0.0, 1.0]), part([2.0, 3.0])]);
        let some = all.select(&Tensor::from_data([3, 0], &device));
        assert_eq!(some.classes("a class").unwrap().clone().into_data().iter::<i64>().collect::<Vec<_>>(), [3, 0]);
        assert_eq!(numbers(some.rows("an error").unwrap().clone()), [3.0, 0.0]);
        assert_eq!(numbers(some.block("a pass", 0).unwrap().output.features()), [3.0, 0.0]);
        assert!(some.block("a pass", 1).is_none() && some.rows("a class").is_none());
        let names: Vec<_> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a class", "a pass", "an error"]);
    }

    #[test]
    fn what_a_block_takes_is_gone() {
        let output = AnyActivation::Features(Tensor::ones([1, 1], &Device::flex()));
        let mut signals = Signals::default();
        signals.put("first", vec![Trace::from(output.clone()), Trace::from(output)]);
        assert!(signals.take_block("first", 1).is_some());
        assert!(signals.take_block("first", 1).is_none() && signals.block("first", 0).is_some());
    }

    #[test]
    fn a_block_is_given_its_part_of_a_signal() {
        let part = |value: f32| AnyActivation::Features(Tensor::full([1, 1], value, &Device::flex())).into();
        let value = |signals: &Signals, index| signals.block("forces", index).map(|t| numbers(t.output.features())[0]);
        let mut signals = Signals::default();
        signals.put_block("forces", 1, part(1.0));
        signals.put_block("forces", 0, part(2.0));
        signals.put_block("forces", 1, part(3.0));
        assert_eq!([0, 1, 2].map(|index| value(&signals, index)), [Some(2.0), Some(3.0), None]);
    }
}
