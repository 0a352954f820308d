//! Steps of optimisers on the flex backend.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use super::pass::{first, next};
use super::update::{AdaptiveUpdate, SgdUpdate};

/// Backends with the optimiser steps of this crate. A step returns the new weights, and the new moments after them.
#[backend_extension(Flex)]
pub(super) trait OptimizerStep: Backend {
    /// Without moments.
    fn plain_step(weights: FloatTensor<Self>, gradient: FloatTensor<Self>, update: SgdUpdate) -> FloatTensor<Self>;

    /// The first step with a velocity.
    fn first_velocity(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        update: SgdUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// A later step with a velocity.
    fn next_velocity(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        update: SgdUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The first step with two moments.
    fn first_moments(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        update: AdaptiveUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// A later step with two moments.
    fn next_moments(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        update: AdaptiveUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl OptimizerStep for Flex {
    fn plain_step(weights: FlexTensor, gradient: FlexTensor, update: SgdUpdate) -> FlexTensor {
        next(weights, &gradient, [], update).0
    }

    fn first_velocity(weights: FlexTensor, gradient: FlexTensor, update: SgdUpdate) -> (FlexTensor, FlexTensor) {
        let (weights, [velocity]) = first(weights, &gradient, update);
        (weights, velocity)
    }

    fn next_velocity(
        weights: FlexTensor,
        gradient: FlexTensor,
        velocity: FlexTensor,
        update: SgdUpdate,
    ) -> (FlexTensor, FlexTensor) {
        let (weights, [velocity]) = next(weights, &gradient, [velocity], update);
        (weights, velocity)
    }

    fn first_moments(
        weights: FlexTensor,
        gradient: FlexTensor,
        update: AdaptiveUpdate,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (weights, [moment_1, moment_2]) = match update {
            AdaptiveUpdate::Adam(update) => first(weights, &gradient, update),
            AdaptiveUpdate::AdamW(update) => first(weights, &gradient, update),
        };
        (weights, moment_1, moment_2)
    }

    fn next_moments(
        weights: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        update: AdaptiveUpdate,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let moments = [moment_1, moment_2];
        let (weights, [moment_1, moment_2]) = match update {
            AdaptiveUpdate::Adam(update) => next(weights, &gradient, moments, update),
            AdaptiveUpdate::AdamW(update) => next(weights, &gradient, moments, update),
        };
        (weights, moment_1, moment_2)
    }
}
