//! Muon (Jordan 2024) for the weights of a network: matrices, and convolution kernels in matrix form.
//!
//! A convolution is a linear map from patches `[C_in k_h k_w]` to output channels. Its kernel `[C_out, C_in, k_h, k_w]` is
//! the matrix `[C_out, C_in k_h k_w]` of that map, which is orthogonalised as in Jordan's own program. Burn's Muon accepts
//! matrices alone.

use burn::optim::LearningRate;
use burn::optim::{Muon, MuonState, Optimizer};
use burn::tensor::{Device, Tensor};

/// Burn's Muon for tensors of any rank: all axes from the second on are treated as one.
#[derive(Clone)]
pub(super) struct MatrixMuon(pub(super) Muon);

impl Optimizer for MatrixMuon {
    /// The state is that of the matrix, whatever the rank of the tensor.
    type State<const D: usize> = MuonState<2>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<MuonState<2>>,
    ) -> (Tensor<D>, Option<MuonState<2>>) {
        let shape = tensor.dims();
        let matrix = [shape[0], shape[1..].iter().product()];
        let (stepped, state) = self.0.step(lr, tensor.reshape(matrix), gradient.reshape(matrix), state);
        (stepped.reshape(shape), state)
    }

    fn to_device<const D: usize>(state: MuonState<2>, device: &Device) -> MuonState<2> {
        Muon::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::MuonConfig;
    use burn::tensor::Distribution;

    /// Stepping a kernel and its matrix gives the same result, and the norm of the update shows that it is orthogonal.
    #[test]
    fn a_kernel_is_stepped_as_its_matrix() {
        let device = Device::flex();
        let muon = MuonConfig::new().build();
        let random = || Tensor::<4>::random([6, 3, 2, 2], Distribution::Normal(0.0, 1.0), &device);
        let (mut kernel, mut states) = (random(), (None, None));
        let mut matrix = kernel.clone().reshape([6, 12]);
        for _ in 0..3 {
            let gradient = random();
            let before = matrix.clone();
            (kernel, states.0) = MatrixMuon(muon.clone()).step(0.1, kernel, gradient.clone(), states.0);
            (matrix, states.1) = muon.step(0.1, matrix, gradient.reshape([6, 12]), states.1);
            assert_eq!(kernel.clone().reshape([6, 12]).to_data(), matrix.to_data());
            // Six singular values of about 1: the Newton-Schulz iteration leaves them between 0.7 and 1.2.
            let length = (matrix.clone() - before).square().sum().sqrt().into_scalar::<f64>() / 0.1;
            assert!((0.7..1.2).contains(&(length / 6f64.sqrt())), "{length}");
        }
    }
}
