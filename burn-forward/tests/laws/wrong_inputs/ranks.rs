//! Parameters of every rank in erased modules.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, ModuleDisplay, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn_forward::erased_module;

use super::super::toy::devices;
use super::operation::refusal;

/// A parameter of rank `D`.
#[derive(Module, Debug)]
struct OfRank<const D: usize> {
    value: Param<Tensor<D>>,
}

trait Any: burn_forward::erased::ErasedModule {
    fn copy(&self) -> Box<dyn Any>;
}

impl<const D: usize> Any for OfRank<D> {
    fn copy(&self) -> Box<dyn Any> {
        Box::new(self.clone())
    }
}

#[derive(Debug)]
struct Erased(Box<dyn Any>);

impl Clone for Erased {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

erased_module!(Erased);

/// Number of gradients that a module receives through erasure.
fn gradients_found<M: Module + ModuleDisplay>(module: &M, loss: &Tensor<1>) -> usize {
    GradientsParams::from_grads(loss.backward(), module).len()
}

fn of_rank<const D: usize>(device: &Device) -> (Erased, Tensor<1>) {
    let value = Param::from_tensor(Tensor::<D>::ones([1; D], device));
    let loss = value.val().sum();
    (Erased(Box::new(OfRank { value })), loss)
}

#[test]
fn parameters_of_every_rank_are_seen_through_a_pointer_or_refused() {
    for (name, device) in devices() {
        macro_rules! seen {
            ($($rank:literal)*) => {
                $({
                    let (module, loss) = of_rank::<$rank>(&device);
                    let answer = catch_unwind(AssertUnwindSafe(|| gradients_found(&module, &loss)));
                    match answer {
                        Ok(found) => assert_eq!(found, 1, "{name}: rank {}", $rank),
                        Err(_) => assert!($rank > 6, "{name}: rank {} is refused", $rank),
                    }
                })*
            };
        }
        seen!(1 2 3 4 5 6);
        if name == "flex" {
            seen!(7 8 9 10 12 13);
        }
    }
    let (module, loss) = of_rank::<13>(&devices().remove(0).1);
    let text = refusal(|| gradients_found(&module, &loss)).unwrap();
    assert!(text.contains("rank") && text.contains("13"), "{text}");
}
