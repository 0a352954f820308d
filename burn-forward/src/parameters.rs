//! Parameters of a model: their number, and what each of them belongs to.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Shape, Tensor};

/// What a parameter of a [`LocalModel`](crate::model::LocalModel) belongs to. Learning rates per block, counts per block and
/// the laws of local learning all depend on it.
///
/// | path | belongs to |
/// |---|---|
/// | `network.blocks.<k>...` | block `k` |
/// | `rule.<list>.<k>...` | block `k`: a list in a rule's struct has one entry per block, in order, whatever its name |
/// | `rule.` and anything else | the rule as a whole |
/// | `frozen...` | the layers before the network that do not learn |
///
/// A rule therefore stores its parameters for block `k` alone (a head, a feedback matrix) at index `k` of a `Vec`. A list of
/// anything else has to be in a separate struct: the layers of an output network are then `rule.output.layers.<i>`, which
/// does not belong to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Layers before the network that do not learn.
    Frozen,
    /// The block with this index, from 0: its layers, and the rule's parameters for this block alone.
    Block(usize),
    /// The rule as a whole: an output layer, or an embedding that blocks share.
    Rule,
}

impl Owner {
    /// What the parameter at `path` belongs to. A path consists of the names from the model down, joined by dots, as in Burn.
    /// `None` for a path that is not in a [`LocalModel`](crate::model::LocalModel).
    ///
    /// ```
    /// use burn_forward::parameters::Owner;
    ///
    /// assert_eq!(Owner::of("network.blocks.1.layers.0.linear.weight"), Some(Owner::Block(1)));
    /// assert_eq!(Owner::of("rule.heads.1.projection.weight"), Some(Owner::Block(1)));
    /// assert_eq!(Owner::of("rule.output.projection.weight"), Some(Owner::Rule));
    /// ```
    pub fn of(path: &str) -> Option<Self> {
        let mut names = path.split('.');
        let (part, list, place) = (names.next()?, names.next(), names.next());
        let place = || place?.parse().ok();
        match (part, list) {
            ("frozen", _) => Some(Self::Frozen),
            ("network", Some("blocks")) => place().map(Self::Block),
            ("rule", _) => Some(place().map_or(Self::Rule, Self::Block)),
            _ => None,
        }
    }

    /// The block, for a parameter that belongs to one.
    pub fn block(self) -> Option<usize> {
        match self {
            Self::Block(block) => Some(block),
            Self::Frozen | Self::Rule => None,
        }
    }
}

/// A regular expression for the paths that belong to `block`, equivalent to [`Owner::of`].
pub(crate) fn paths_of_block(block: usize) -> String {
    format!(r"^(network\.blocks|rule\.[^.]+)\.{block}(\.|$)")
}

/// Number of parameters of a module, counted as in publications: all weights and biases, including fixed ones, but not the
/// running means and variances of batch normalisation.
///
/// [`Module::num_params`] includes those: a ResNet-18 for ten classes has 11,173,962 parameters, and Burn counts 9,600 more.
pub fn parameters(module: &impl Module) -> usize {
    let mut count = 0;
    each_parameter(module, |_, elements| count += elements);
    count
}

/// Calls `f` with the path and the number of elements of every float parameter that is not a running statistic.
pub fn each_parameter(module: &impl Module, f: impl FnMut(&[String], usize)) {
    module.visit(&mut Parameters { path: Vec::new(), f });
}

/// Whether a tensor with this name or path is a running statistic of batch normalisation.
pub fn is_running_statistic(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["running_mean", "running_var"].contains(&last)
}

struct Parameters<F> {
    path: Vec<String>,
    f: F,
}

impl<F: FnMut(&[String], usize)> ModuleVisitor for Parameters<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.last().is_some_and(|name| is_running_statistic(name)) {
            (self.f)(&self.path, param.lazy_shape().num_elements());
        }
    }
}

/// Moves a module out of its place. What stays there has no weights to learn, and is to be replaced.
///
/// An optimiser changes weights in place where nobody else holds them. A clone in the module's place would hold them, so all of
/// them would be copied.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use burn_forward::parameters::take;
///
/// let mut layer = LinearConfig::new(3, 2).init(&Device::default().autodiff());
/// let taken = take(&mut layer);
/// assert_eq!((taken.weight.dims(), layer.weight.dims()), ([3, 2], [0, 0]));
/// ```
pub fn take<M: Module>(place: &mut M) -> M {
    let without_weights = place.clone().map(&mut WithoutWeights);
    std::mem::replace(place, without_weights)
}

/// Leaves weights out.
struct WithoutWeights;

impl ModuleMapper for WithoutWeights {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Clones of a batch normalisation share their running statistics, which do not require a gradient.
        if !param.is_require_grad() {
            return param;
        }
        let nothing = [0; D];
        let empty = move |device: &_, _| Tensor::empty(nothing, device);
        Param::uninitialized(param.id, empty, param.lazy_device(), false, Shape::from(nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{ParamGroup, ParamId};
    use burn::nn::{BatchNormConfig, LinearConfig};
    use burn::tensor::Device;

    #[test]
    fn one_pattern_and_one_function_say_what_belongs_to_a_block() {
        for (path, owner) in [
            ("network.blocks.0.layers.1.linear.weight", Some(Owner::Block(0))),
            ("network.blocks.12.layers.1.linear.weight", Some(Owner::Block(12))),
            ("rule.heads.1.projection.bias", Some(Owner::Block(1))),
            ("rule.feedback.2.feedback", Some(Owner::Block(2))),
            // Any name, and parameters that are themselves entries of the list.
            ("rule.scales.1", Some(Owner::Block(1))),
            ("rule.scales.10", Some(Owner::Block(10))),
            ("rule.output.layers.1.weight", Some(Owner::Rule)),
            ("rule.softmax.weight", Some(Owner::Rule)),
            ("rule.scale", Some(Owner::Rule)),
            ("frozen.layers.1.linear.weight", Some(Owner::Frozen)),
            ("heads.1.weight", None),
        ] {
            assert_eq!(Owner::of(path), owner, "{path}");
            for block in 0..13 {
                let group = ParamGroup::from_regex(paths_of_block(block)).unwrap();
                let of_block = owner.and_then(Owner::block) == Some(block);
                assert_eq!(group.matches(&ParamId::new(), Some(path)), of_block, "{path} and block {block}");
            }
        }
    }

    #[test]
    fn running_statistics_are_not_counted() {
        let device = Device::flex();
        // 3 x 4 weights and 4 biases; 4 scales and 4 shifts.
        let modules = vec![(LinearConfig::new(3, 4).init(&device), BatchNormConfig::new(4).init(&device))];
        assert_eq!(parameters(&modules), 16 + 8);
        assert_eq!(parameters(&modules.no_grad()), 16 + 8);
    }
}
