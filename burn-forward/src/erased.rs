//! Modules as trait objects.
//!
//! Burn's [`Module`] cannot be a trait object, since its visitors are generic over the rank. A network assembled from a
//! config needs layers and rules whose types are known only at run time, and a registry to which other crates can add rows.
//! [`ErasedModule`] is the object-safe counterpart of a module: every visit makes one `dyn` call per parameter, whose cost is
//! negligible beside the tensor operation it leads to. [`erased_module!`](crate::erased_module) implements Burn's own traits
//! for a newtype around `Box<dyn Trait>`, so that optimisers, records and stores see an ordinary module with ordinary
//! parameter paths.

use std::any::Any;
use std::fmt::Debug;

use burn::module::{Devices, Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::parameters::take;
use crate::{Error, require};

/// The object-safe interface of a module. Implemented for every [`Module`].
pub trait ErasedModule: Debug + Send {
    /// Like [`Module::collect_devices`].
    fn erased_devices(&self, devices: Devices) -> Devices;
    /// Like [`Module::fork`], in place.
    fn erased_fork(&mut self, device: &Device);
    /// Like [`Module::to_device`], in place.
    fn erased_to_device(&mut self, device: &Device);
    /// Like [`Module::train`], in place.
    fn erased_train(&mut self);
    /// Like [`Module::valid`], in place.
    fn erased_valid(&mut self);
    /// Like [`Module::materialize`], in place.
    fn erased_materialize(&mut self);
    /// Like [`Module::num_params`].
    fn erased_num_params(&self) -> usize;
    /// Like [`Module::visit`].
    fn erased_visit(&self, visitor: &mut dyn ErasedVisitor);
    /// Like [`Module::map`], in place.
    fn erased_map(&mut self, mapper: &mut dyn ErasedMapper);
}

impl<M: Module + 'static> ErasedModule for M {
    fn erased_devices(&self, devices: Devices) -> Devices {
        self.collect_devices(devices)
    }

    // Cloning a module copies pointers to its tensors, not the tensors.
    fn erased_fork(&mut self, device: &Device) {
        *self = self.clone().fork(device);
    }

    fn erased_to_device(&mut self, device: &Device) {
        *self = self.clone().to_device(device);
    }

    fn erased_train(&mut self) {
        *self = self.clone().train();
    }

    fn erased_valid(&mut self) {
        *self = self.valid();
    }

    fn erased_materialize(&mut self) {
        *self = self.clone().materialize();
    }

    fn erased_num_params(&self) -> usize {
        self.num_params()
    }

    fn erased_visit(&self, visitor: &mut dyn ErasedVisitor) {
        self.visit(&mut VisitorBridge(visitor));
    }

    // An optimiser copies weights that a clone holds.
    fn erased_map(&mut self, mapper: &mut dyn ErasedMapper) {
        *self = take(self).map(&mut MapperBridge(mapper));
    }
}

/// An object-safe [`ModuleVisitor`]; parameters are passed as `&dyn Any` of `Param<Tensor<rank, kind>>`.
pub trait ErasedVisitor {
    /// A float parameter.
    fn float(&mut self, rank: usize, param: &dyn Any);
    /// An int parameter.
    fn int(&mut self, rank: usize, param: &dyn Any);
    /// A bool parameter.
    fn bool(&mut self, rank: usize, param: &dyn Any);
    /// A flag.
    fn flag(&mut self, flag: &Param<Flag>);
    /// Start of a submodule.
    fn enter(&mut self, name: &str, container: &str);
    /// End of a submodule.
    fn exit(&mut self, name: &str, container: &str);
}

/// An object-safe [`ModuleMapper`]; parameters are passed as `&mut dyn Any` of `Option<Param<Tensor<rank, kind>>>`, to be
/// taken out and put back.
pub trait ErasedMapper {
    /// A float parameter.
    fn float(&mut self, rank: usize, slot: &mut dyn Any);
    /// An int parameter.
    fn int(&mut self, rank: usize, slot: &mut dyn Any);
    /// A bool parameter.
    fn bool(&mut self, rank: usize, slot: &mut dyn Any);
    /// A flag.
    fn flag(&mut self, flag: Param<Flag>) -> Param<Flag>;
    /// Start of a submodule.
    fn enter(&mut self, name: &str, container: &str);
    /// End of a submodule.
    fn exit(&mut self, name: &str, container: &str);
}

/// From a generic visitor to an erased one, on the side of the module.
struct VisitorBridge<'a>(&'a mut dyn ErasedVisitor);

impl ModuleVisitor for VisitorBridge<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.float(D, param);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.int(D, param);
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.bool(D, param);
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.flag(flag);
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

struct MapperBridge<'a>(&'a mut dyn ErasedMapper);

/// Runs an erased map on one parameter. [`GenericMapper`] is the only implementation, and fills the slot again.
fn through_slot<P: 'static>(param: P, f: impl FnOnce(&mut dyn Any)) -> P {
    let mut slot = Some(param);
    f(&mut slot);
    slot.unwrap_or_else(|| unreachable!("an ErasedMapper puts the parameter back, as GenericMapper does"))
}

impl ModuleMapper for MapperBridge<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        through_slot(param, |slot| self.0.float(D, slot))
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        through_slot(param, |slot| self.0.int(D, slot))
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        through_slot(param, |slot| self.0.bool(D, slot))
    }
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.0.flag(flag)
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

/// From an erased visitor back to a generic one, on the side of the caller.
#[doc(hidden)]
pub struct GenericVisitor<'a, V>(pub &'a mut V);

/// From an erased mapper back to a generic one, on the side of the caller.
#[doc(hidden)]
pub struct GenericMapper<'a, M>(pub &'a mut M);

/// Rejects a parameter whose rank is not in [`at_rank`]: if it were skipped, it would be neither trained nor saved.
fn refuse_rank(rank: usize) {
    require(false, || {
        let what = "rank of a parameter of an erased module";
        Error::argument("erased_module", what, rank, "1 to 12")
    });
}

/// Calls `$self.0.$method` with the parameter at its actual rank.
macro_rules! at_rank {
    (visit $self:ident.$method:ident, $kind:ty, $param:ident, $rank_of:ident: $($rank:literal)*) => {
        $(if let Some(p) = $param.downcast_ref::<Param<Tensor<$rank, $kind>>>() {
            $self.0.$method(p);
            return;
        })*
        refuse_rank($rank_of)
    };
    (map $self:ident.$method:ident, $kind:ty, $slot:ident, $rank_of:ident: $($rank:literal)*) => {
        $(if let Some(s) = $slot.downcast_mut::<Option<Param<Tensor<$rank, $kind>>>>() {
            if let Some(p) = s.take() {
                *s = Some($self.0.$method(p));
            }
            return;
        })*
        refuse_rank($rank_of)
    };
}

impl<V: ModuleVisitor> ErasedVisitor for GenericVisitor<'_, V> {
    fn float(&mut self, rank: usize, param: &dyn Any) {
        at_rank!(visit self.visit_float, burn::tensor::Float, param, rank: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
    fn int(&mut self, rank: usize, param: &dyn Any) {
        at_rank!(visit self.visit_int, Int, param, rank: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
    fn bool(&mut self, rank: usize, param: &dyn Any) {
        at_rank!(visit self.visit_bool, Bool, param, rank: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
    fn flag(&mut self, flag: &Param<Flag>) {
        self.0.visit_flag(flag);
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }
    fn exit(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }
}

impl<M: ModuleMapper> ErasedMapper for GenericMapper<'_, M> {
    fn float(&mut self, rank: usize, slot: &mut dyn Any) {
        at_rank!(map self.map_float, burn::tensor::Float, slot, rank: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
    fn int(&mut self, rank: usize, slot: &mut dyn Any) {
        at_rank!(map self.map_int, Int, slot, rank: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
    fn bool(&mut self, rank: usize, slot: &mut dyn Any) {
        at_rank!(map self.map_bool, Bool, slot, rank: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
    fn flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.0.map_flag(flag)
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }
    fn exit(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }
}

/// Implements Burn's `Module` and its display traits for a newtype `struct Name(Box<dyn Trait>)`, where `Trait` has
/// [`ErasedModule`] as a supertrait and `Box<dyn Trait>` is `Clone + Debug`.
#[macro_export]
macro_rules! erased_module {
    ($name:ident) => {
        impl ::burn::module::Module for $name {
            fn collect_devices(&self, devices: ::burn::module::Devices) -> ::burn::module::Devices {
                self.0.erased_devices(devices)
            }
            fn fork(mut self, device: &::burn::tensor::Device) -> Self {
                self.0.erased_fork(device);
                self
            }
            fn to_device(mut self, device: &::burn::tensor::Device) -> Self {
                self.0.erased_to_device(device);
                self
            }
            fn train(mut self) -> Self {
                self.0.erased_train();
                self
            }
            fn valid(&self) -> Self {
                let mut valid = self.clone();
                valid.0.erased_valid();
                valid
            }
            fn materialize(mut self) -> Self {
                self.0.erased_materialize();
                self
            }
            fn num_params(&self) -> usize {
                self.0.erased_num_params()
            }
            fn visit<V: ::burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                self.0.erased_visit(&mut $crate::erased::GenericVisitor(visitor));
            }
            fn map<M: ::burn::module::ModuleMapper>(mut self, mapper: &mut M) -> Self {
                self.0.erased_map(&mut $crate::erased::GenericMapper(mapper));
                self
            }
        }

        impl ::burn::module::ModuleDisplayDefault for $name {
            fn content(&self, content: ::burn::module::Content) -> Option<::burn::module::Content> {
                content.add_formatted(&format!("{:?}", self.0)).optional()
            }
            fn num_params(&self) -> usize {
                self.0.erased_num_params()
            }
        }

        impl ::burn::module::ModuleDisplay for $name {}
    };
}
