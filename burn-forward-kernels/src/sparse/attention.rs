//! Graph attention on the flex backend, with its gradient.
//!
//! Scores and weights of entries are computed again whenever they are needed, from two numbers per node and head and a third
//! one that is kept: the logarithm of the sum of a node's exponentials. The memory of a layer therefore grows with the number
//! of nodes, not with the number of edges.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use rayon::prelude::*;

use super::compressed::Compressed;
use super::matrix::Sparse;
use super::sums::{AHEAD, ROWS, RowSum, ask_for, dot, dot_with};
use crate::flex::{alone, by_rows, dims, numbers, tensor, total};

/// Number of parts into which the gradients of the scoring vectors are split. It is the same on every machine.
const PARTS: usize = 8;

/// Backends with graph attention.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait GraphAttention: Backend {
    /// `h` `[N, h d]` from `g` `[N, h d]`, `source` and `target` `[h, d]`; see [`Sparse::attention`].
    fn graph_attention(
        g: FloatTensor<Self>,
        source: FloatTensor<Self>,
        target: FloatTensor<Self>,
        matrix: Arc<Sparse>,
        slope: f32,
    ) -> FloatTensor<Self>;
}

impl GraphAttention for Flex {
    fn graph_attention(
        g: FlexTensor,
        source: FlexTensor,
        target: FlexTensor,
        matrix: Arc<Sparse>,
        slope: f32,
    ) -> FlexTensor {
        Attention::new(&matrix, &g, [&source, &target], slope).forward(&numbers(&g)).0
    }
}

impl<C: CheckpointStrategy> GraphAttention for Autodiff<Flex, C> {
    fn graph_attention(
        g: FloatTensor<Self>,
        source: FloatTensor<Self>,
        target: FloatTensor<Self>,
        matrix: Arc<Sparse>,
        slope: f32,
    ) -> FloatTensor<Self> {
        let nodes = [g.node(), source.node(), target.node()];
        let [g, source, target] = [g, source, target].map(|t| t.into_primitive());
        let attention = Attention::new(&matrix, &g, [&source, &target], slope);
        let (output, log_sums) = attention.forward(&numbers(&g));
        match AttentionGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(Kept { attention, log_sums, g, source, target }, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}

/// The data that attention keeps for its gradients.
#[derive(Debug, Clone)]
struct Kept {
    attention: Attention,
    /// `[N, h]`.
    log_sums: Vec<f32>,
    g: FlexTensor,
    source: FlexTensor,
    target: FlexTensor,
}

/// With `p_st = <dh_t, g_s>` and `D_t = sum_s alpha_st p_st`, the gradient of `e_st` before the leaky ReLU is
/// `de_st = alpha_st (p_st - D_t) leaky_relu'`. Then `dg_s = sum_t (alpha_st dh_t + de_st source) + sum_r de_rs target`,
/// `d source = sum_st de_st g_s`, `d target = sum_st de_st g_t`.
#[derive(Debug)]
struct AttentionGradient;

impl Backward<Flex, 3> for AttentionGradient {
    type State = Kept;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Kept { attention, log_sums, g, source, target } = ops.state;
        let dh = gradients.consume::<Flex>(&ops.node);
        let dh = numbers(&dh);
        let mut g = alone(g);
        let shape = [attention.heads, attention.of_head];
        let (means, of_targets) = attention.of_targets(&numbers(&g), &dh, &log_sums);
        let at = FromOutput { dh: &dh, log_sums: &log_sums, means: &means, of_targets: &of_targets };
        let [of_source, of_target] =
            attention.of_sources(g.storage_mut::<f32>(), at, [&numbers(&source), &numbers(&target)]);
        let [node_g, node_source, node_target] = ops.parents;
        if let Some(node) = node_source {
            gradients.register::<Flex>(node.id, tensor(of_source, shape));
        }
        if let Some(node) = node_target {
            gradients.register::<Flex>(node.id, tensor(of_target, shape));
        }
        if let Some(node) = node_g {
            gradients.register::<Flex>(node.id, g);
        }
    }
}

/// The edges, and the two parts of every score.
#[derive(Debug, Clone)]
struct Attention {
    matrix: Arc<Sparse>,
    /// `<source, g_s>` and `<target, g_t>`, `[N, h]` each.
    sources: Vec<f32>,
    targets: Vec<f32>,
    heads: usize,
    of_head: usize,
    slope: f32,
}

/// Quantities that follow from the gradients of the output.
#[derive(Clone, Copy)]
struct FromOutput<'a> {
    dh: &'a [f32],
    log_sums: &'a [f32],
    /// `D` `[N, h]`.
    means: &'a [f32],
    /// `sum_s de_st` `[N, h]`.
    of_targets: &'a [f32],
}

impl Attention {
    fn new(matrix: &Arc<Sparse>, g: &FlexTensor, vectors: [&FlexTensor; 2], slope: f32) -> Self {
        let [heads, of_head] = dims(vectors[0]);
        let (g, width) = (numbers(g), heads * of_head);
        let vectors = vectors.map(numbers);
        let [sources, targets] = vectors.map(|vector| {
            let part = |first: usize, out: &mut [f32]| {
                let rows = g[first * width..].chunks_exact(width);
                for (out, row) in out.chunks_exact_mut(heads).zip(rows) {
                    let by_head = row.chunks_exact(of_head).zip(vector.chunks_exact(of_head));
                    out.iter_mut().zip(by_head).for_each(|(out, (g, a))| *out = dot(g, a));
                }
            };
            by_rows(g.len() / width, heads, ROWS, part).0
        });
        Self { matrix: matrix.clone(), sources, targets, heads, of_head, slope }
    }

    fn width(&self) -> usize {
        self.heads * self.of_head
    }

    fn nodes(&self) -> usize {
        self.sources.len() / self.heads
    }

    /// The score of an entry before and after the leaky ReLU.
    fn score(&self, source: usize, target: usize, head: usize) -> (f32, f32) {
        let sum = self.sources[source * self.heads + head] + self.targets[target * self.heads + head];
        (sum, if sum >= 0.0 { sum } else { self.slope * sum })
    }

    /// The nodes that send to `target`, except for itself.
    fn senders(&self, target: usize) -> &[u32] {
        let rows = &self.matrix.rows;
        &rows.indices[rows.offsets[target]..rows.offsets[target + 1]]
    }

    /// `h` `[N, h d]`, and the logarithms of the sums of exponentials `[N, h]`.
    fn forward(&self, g: &[f32]) -> (FlexTensor, Vec<f32>) {
        let (width, heads) = (self.width(), self.heads);
        let rows: &Compressed = &self.matrix.rows;
        let (h, log_sums) = by_rows(self.nodes(), width, ROWS, |first, out| {
            let targets = first..first + out.len() / width;
            let first_entry = rows.offsets[first];
            let mut factors = vec![0.0; (rows.offsets[targets.end] - first_entry) * heads];
            let mut log_sums = vec![0.0; targets.len() * heads];
            for target in targets.clone() {
                let senders = self.senders(target);
                let factors = &mut factors[(rows.offsets[target] - first_entry) * heads..][..senders.len() * heads];
                for head in 0..heads {
                    let scores = || senders.iter().map(|s| self.score(*s as usize, target, head).1);
                    let own = self.score(target, target, head).1;
                    let highest = scores().fold(own, f32::max);
                    let mut sum = (own - highest).exp();
                    for (factors, score) in factors.chunks_exact_mut(heads).zip(scores()) {
                        factors[head] = (score - highest).exp();
                        sum += factors[head];
                    }
                    factors.chunks_exact_mut(heads).for_each(|factors| factors[head] /= sum);
                    log_sums[(target - first) * heads + head] = highest + sum.ln();
                }
            }
            RowSum { s: rows, x: g, width, factors: &factors, first_entry, heads }.rows(first, out);
            for (target, out) in targets.zip(out.chunks_exact_mut(width)) {
                let own = g[target * width..][..width].chunks_exact(self.of_head);
                for (head, (out, own)) in out.chunks_exact_mut(self.of_head).zip(own).enumerate() {
                    let log_sum = log_sums[(target - first) * heads + head];
                    let alpha = (self.score(target, target, head).1 - log_sum).exp();
                    out.iter_mut().zip(own).for_each(|(out, g)| *out += alpha * g);
                }
            }
            log_sums
        });
        (tensor(h, [self.nodes(), width]), log_sums.concat())
    }

    /// `alpha_st`, and the slope of the leaky ReLU there.
    fn alpha(&self, source: usize, target: usize, head: usize, log_sums: &[f32]) -> (f32, f32) {
        let (sum, score) = self.score(source, target, head);
        let slope = if sum >= 0.0 { 1.0 } else { self.slope };
        ((score - log_sums[target * self.heads + head]).exp(), slope)
    }

    /// `D_t` and `sum_s de_st`, `[N, h]` each.
    fn of_targets(&self, g: &[f32], dh: &[f32], log_sums: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (means, of_targets) = by_rows(self.nodes(), self.heads, ROWS, |first, means| {
            let mut sums = vec![0.0; means.len()];
            let out = (means, &mut *sums);
            #[cfg(target_arch = "x86_64")]
            if has_avx2() {
                #[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
                // SAFETY: the processor has AVX2.
                unsafe {
                    self.targets_avx2(first, g, dh, log_sums, out)
                };
                return sums;
            }
            self.targets(first, g, dh, log_sums, out, |a, b, sum| sum + a * b);
            sums
        });
        (means, of_targets.concat())
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn targets_avx2(&self, first: usize, g: &[f32], dh: &[f32], log_sums: &[f32], out: (&mut [f32], &mut [f32])) {
        self.targets(first, g, dh, log_sums, out, f32::mul_add);
    }

    #[inline(always)]
    fn targets(
        &self,
        first: usize,
        g: &[f32],
        dh: &[f32],
        log_sums: &[f32],
        (means, sums): (&mut [f32], &mut [f32]),
        add: impl Fn(f32, f32, f32) -> f32 + Copy,
    ) {
        let (width, heads, of_head) = (self.width(), self.heads, self.of_head);
        // `alpha`, `alpha` times the slope, and `p` for the entries of one node.
        let mut entries: Vec<[f32; 3]> = Vec::new();
        let of_nodes = means.chunks_exact_mut(heads).zip(sums.chunks_exact_mut(heads));
        for (target, (means, sums)) in (first..).zip(of_nodes) {
            let dh = &dh[target * width..][..width];
            entries.clear();
            let senders = self.senders(target);
            for (i, source) in senders.iter().chain([&(target as u32)]).enumerate() {
                if let Some(later) = senders.get(i + AHEAD) {
                    ask_for(g, *later as usize * width, width);
                }
                let source = *source as usize;
                let g = &g[source * width..][..width];
                for (head, (dh, g)) in dh.chunks_exact(of_head).zip(g.chunks_exact(of_head)).enumerate() {
                    let (alpha, slope) = self.alpha(source, target, head, log_sums);
                    let p = dot_with(dh, g, add);
                    entries.push([alpha, alpha * slope, p]);
                    means[head] += alpha * p;
                }
            }
            for entry in entries.chunks_exact(heads) {
                for (head, [_, sloped, p]) in entry.iter().enumerate() {
                    sums[head] += sloped * (p - means[head]);
                }
            }
        }
    }

    /// Replaces `g` by its gradient; returns the gradients of `source` and `target`.
    fn of_sources(&self, g: &mut [f32], at: FromOutput, vectors: [&[f32]; 2]) -> [Vec<f32>; 2] {
        // Created once, before the threads use it.
        let columns = self.matrix.by_column();
        let rows_of_part = self.nodes().div_ceil(PARTS).max(1);
        let parts = g.par_chunks_mut(rows_of_part * self.width()).enumerate().map(|(part, rows)| {
            let first = part * rows_of_part;
            #[cfg(target_arch = "x86_64")]
            if has_avx2() {
                #[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
                // SAFETY: the processor has AVX2.
                return unsafe { self.sources_avx2(columns, first, rows, at, vectors) };
            }
            self.sources(columns, first, rows, at, vectors, |a, b, sum| sum + a * b)
        });
        let parts: Vec<[Vec<f32>; 2]> = parts.collect();
        let (of_source, of_target): (Vec<_>, Vec<_>) = parts.into_iter().map(|[s, t]| (s, t)).unzip();
        [total(of_source), total(of_target)]
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn sources_avx2(
        &self,
        columns: &Compressed,
        first: usize,
        rows: &mut [f32],
        at: FromOutput,
        vectors: [&[f32]; 2],
    ) -> [Vec<f32>; 2] {
        self.sources(columns, first, rows, at, vectors, f32::mul_add)
    }

    #[inline(always)]
    fn sources(
        &self,
        columns: &Compressed,
        first: usize,
        rows: &mut [f32],
        at: FromOutput,
        [source, target]: [&[f32]; 2],
        add: impl Fn(f32, f32, f32) -> f32 + Copy,
    ) -> [Vec<f32>; 2] {
        let (width, heads, of_head) = (self.width(), self.heads, self.of_head);
        let (mut of_source, mut of_target) = (vec![0.0; width], vec![0.0; width]);
        let (mut dg, mut of_node) = (vec![0.0; width], vec![0.0; heads]);
        for (s, g) in (first..).zip(rows.chunks_exact_mut(width)) {
            dg.fill(0.0);
            of_node.fill(0.0);
            let receivers = &columns.indices[columns.offsets[s]..columns.offsets[s + 1]];
            for (i, t) in receivers.iter().chain([&(s as u32)]).enumerate() {
                if let Some(later) = receivers.get(i + AHEAD) {
                    ask_for(at.dh, *later as usize * width, width);
                }
                let t = *t as usize;
                let dh = at.dh[t * width..][..width].chunks_exact(of_head);
                let by_head = dh.zip(g.chunks_exact(of_head)).zip(dg.chunks_exact_mut(of_head));
                for (head, ((dh, g), dg)) in by_head.enumerate() {
                    let (alpha, slope) = self.alpha(s, t, head, at.log_sums);
                    of_node[head] += alpha * slope * (dot_with(dh, g, add) - at.means[t * heads + head]);
                    dg.iter_mut().zip(dh).for_each(|(dg, dh)| *dg = add(alpha, *dh, *dg));
                }
            }
            for (head, as_source) in of_node.iter().enumerate() {
                let as_target = at.of_targets[s * heads + head];
                for i in head * of_head..(head + 1) * of_head {
                    of_source[i] += as_source * g[i];
                    of_target[i] += as_target * g[i];
                    g[i] = dg[i] + as_source * source[i] + as_target * target[i];
                }
            }
        }
        [of_source, of_target]
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}
