//! The cases on which laws are tested, and the test of a law.

use std::sync::Arc;

use burn::tensor::Device;
use burn_forward::device;
use burn_forward::init::InitScheme;
use burn_forward::network::{MlpConfig, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::registry::Registry;
use serde_json::{Value, json};

use crate::case::Shared;
use crate::settings::one_at_a_time;
use crate::trial::{Exception, Law, Over, Report, try_on};
use crate::verdict::Violation;
use crate::{Case, Prototypes, TestData, TestNetwork};

/// A multilayer perceptron that every rule accepts: tanh units, with the input of every layer normalised to a root mean
/// square of 1.
pub fn smooth_mlp(widths: &[usize]) -> MlpConfig {
    MlpConfig { activation: ActivationFn::Tanh, normalisation: Normalisation::Rms, ..MlpConfig::new(widths) }
}

/// The CPU devices of this build, each with its name and with autodiff.
pub fn devices() -> Vec<(String, Device)> {
    let cpu = device::names().into_iter().filter(|name| ["flex", "ndarray"].contains(name));
    cpu.filter_map(|name| Some((name.to_string(), device::parse(name).ok()?.autodiff()))).collect()
}

/// A rule's name and its settings.
type Settings = (String, Value);

/// The laws over a set of rules, networks and data.
///
/// [`Laws::of`] tests every rule of a registry on a small perceptron with toy images. The methods change these defaults, and
/// [`laws!`](crate::laws!) generates one test for each law.
#[derive(Clone)]
pub struct Laws {
    shared: Shared,
    devices: Vec<(String, Device)>,
    rules: Vec<String>,
    varied: Vec<String>,
    defaults: Vec<Settings>,
    further: Vec<Settings>,
    further_to_learn: Vec<Settings>,
    companions: Vec<(Value, Value)>,
    networks: Vec<TestNetwork>,
    noisy: Vec<TestNetwork>,
    learners: Vec<Vec<TestNetwork>>,
    exceptions: Vec<Exception>,
}

impl Laws {
    /// All rules of a registry, on the CPU devices of the build.
    pub fn of(registry: &Registry) -> Self {
        let shared = Shared {
            rules: Arc::new(registry.rules.clone()),
            data: Arc::new(Prototypes::images(1, 4, 4)),
            difference: 5e-3,
            learning: (60, 64),
        };
        let names: Vec<String> = registry.rules.iter().map(|row| row.name.to_string()).collect();
        let mlp = |config| TestNetwork::new("mlp", config, Partition::LAYER);
        // Use ReLU if the rule accepts it: tanh cannot reach a goodness whose threshold is the width.
        let rectified =
            MlpConfig { activation: ActivationFn::Relu, init: InitScheme::UnitNormal, ..smooth_mlp(&[32, 32]) };
        Self {
            shared,
            devices: devices(),
            rules: names.clone(),
            varied: names,
            defaults: Vec::new(),
            further: Vec::new(),
            further_to_learn: Vec::new(),
            companions: Vec::new(),
            networks: vec![mlp(smooth_mlp(&[10, 9, 8]))],
            noisy: vec![mlp(MlpConfig { dropout: 0.5, ..smooth_mlp(&[10, 9, 8]) })],
            learners: vec![vec![mlp(rectified), mlp(smooth_mlp(&[32, 32]))]],
            exceptions: Vec::new(),
        }
    }

    /// Tests only the rules with these names.
    #[must_use]
    pub fn rules(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Self { varied: names.clone(), rules: names, ..self }
    }

    /// Leaves out the rules with these names, for example rules that accept none of the networks.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.rules.retain(|rule| !names.contains(&rule.as_str()));
        self
    }

    /// Tests every value of every setting with named values for these rules alone; other rules keep their defaults.
    #[must_use]
    pub fn varied(self, names: &[&str]) -> Self {
        Self { varied: names.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Tests a rule with these settings instead of its defaults.
    #[must_use]
    pub fn defaults(mut self, rule: &str, settings: Value) -> Self {
        self.defaults.push((rule.into(), settings));
        self
    }

    /// Tests a rule with these settings as well.
    #[must_use]
    pub fn settings(mut self, rule: &str, settings: Value) -> Self {
        self.further.push((rule.into(), settings));
        self
    }

    /// Requires a rule with these settings to learn the toy data as well.
    #[must_use]
    pub fn learns(mut self, rule: &str, settings: Value) -> Self {
        self.further_to_learn.push((rule.into(), settings));
        self
    }

    /// Adds `companion` whenever the value `alone` of a setting is tested, because it contradicts the defaults of other
    /// settings.
    #[must_use]
    pub fn companion(mut self, alone: Value, companion: Value) -> Self {
        self.companions.push((alone, companion));
        self
    }

    /// Sets the networks. They must be small and without anything random, so that a step can be repeated.
    #[must_use]
    pub fn networks(self, networks: Vec<TestNetwork>) -> Self {
        Self { networks, ..self }
    }

    /// Sets the networks with dropout and batch normalisation.
    #[must_use]
    pub fn noisy_networks(self, noisy: Vec<TestNetwork>) -> Self {
        Self { noisy, ..self }
    }

    /// Sets the networks that are wide enough to learn the data. From every list, the first network that a rule accepts is
    /// used.
    #[must_use]
    pub fn learning_networks(self, learners: Vec<Vec<TestNetwork>>) -> Self {
        Self { learners, ..self }
    }

    /// Sets the data.
    #[must_use]
    pub fn data(mut self, data: impl TestData + 'static) -> Self {
        self.shared.data = Arc::new(data);
        self
    }

    /// Sets the devices, each with its name and with autodiff.
    #[must_use]
    pub fn devices(self, devices: Vec<(String, Device)>) -> Self {
        Self { devices, ..self }
    }

    /// Sets the step of finite differences. The default of 0.005 suits losses in single precision.
    #[must_use]
    pub fn finite_differences(mut self, step: f32) -> Self {
        self.shared.difference = step;
        self
    }

    /// Sets the number of steps in which a rule has to learn the data, and the rows per step; 60 steps of 64 rows by default.
    #[must_use]
    pub fn learning_steps(mut self, steps: usize, rows: usize) -> Self {
        self.shared.learning = (steps, rows);
        self
    }

    /// Excludes the cases that `which` selects from a law, given as `module::name`. An exception that selects no case is an
    /// error.
    #[must_use]
    pub fn except(mut self, law: &'static str, reason: &'static str, which: impl Fn(&Case) -> bool + 'static) -> Self {
        self.exceptions.push(Exception { law, reason, which: Arc::new(which) });
        self
    }

    /// Every rule with its settings, on every network and device.
    ///
    /// # Errors
    /// If a setting contradicts the defaults of others and has no [`companion`](Self::companion), or if a rule accepts none
    /// of the networks.
    pub fn cases(&self) -> Result<Vec<Case>, Violation> {
        self.on_networks(&self.networks, |laws, rule| [laws.recipes_of(rule), laws.variants_of(rule)].concat())
    }

    /// Every rule with its defaults, and with every preset it has, on every network and device.
    ///
    /// # Errors
    /// The errors of [`cases`](Self::cases).
    pub fn recipes(&self) -> Result<Vec<Case>, Violation> {
        self.on_networks(&self.networks, Self::recipes_of)
    }

    /// Like [`cases`](Self::cases), on the [noisy networks](Self::noisy_networks).
    ///
    /// # Errors
    /// The errors of [`cases`](Self::cases).
    pub fn noisy_cases(&self) -> Result<Vec<Case>, Violation> {
        self.on_networks(&self.noisy, |laws, rule| [laws.recipes_of(rule), laws.variants_of(rule)].concat())
    }

    /// Every recipe, and everything else that is required to [learn](Self::learns), on the
    /// [learning networks](Self::learning_networks).
    ///
    /// # Errors
    /// The errors of [`cases`](Self::cases).
    pub fn learners(&self) -> Result<Vec<Case>, Violation> {
        let mut cases = Vec::new();
        for (rule, settings) in self.rules.iter().flat_map(|rule| self.recipes_of(rule)).chain(self.further_to_learn())
        {
            for networks in &self.learners {
                for (on, device) in &self.devices {
                    let case = |network| Case::new((&rule, &settings), network, (on, device), &self.shared);
                    let mut candidates = networks.iter().map(case);
                    let accepted =
                        candidates.find_map(|case| case.accepted().map(|yes| yes.then_some(case)).transpose());
                    cases.extend(accepted.transpose()?);
                }
            }
        }
        self.complete(cases)
    }

    /// A rule of the registry with settings, on every network and device.
    pub fn on_all_devices(&self, rule: &str, settings: &Value) -> Vec<Case> {
        let on = |network| {
            let case =
                move |(on, device): &(String, Device)| Case::new((rule, settings), network, (on, device), &self.shared);
            self.devices.iter().map(case)
        };
        self.networks.iter().flat_map(on).collect()
    }

    /// Tests a law on every case that it applies to.
    ///
    /// # Errors
    /// The errors of [`cases`](Self::cases); violations are in the report.
    pub fn report(&self, law: &Law) -> Result<Report, Violation> {
        let cases = match law.over {
            Over::Cases => self.cases(),
            Over::Recipes => self.recipes(),
            Over::Noisy => self.noisy_cases(),
            Over::Learners => self.learners(),
        };
        try_on(cases?, law, &self.exceptions)
    }

    /// Tests a law, for the test with its name.
    ///
    /// # Panics
    /// If a case violates the law; the message lists every such case and what differed.
    pub fn check(&self, law: &Law) {
        let answer = self.report(law).map(|report| (report.is_kept(), report.to_string()));
        let (kept, said) = answer.unwrap_or_else(|wrong| (false, wrong.to_string()));
        println!("{said}");
        assert!(kept, "{said}");
    }

    fn on_networks(
        &self,
        networks: &[TestNetwork],
        settings: impl Fn(&Self, &str) -> Vec<Settings>,
    ) -> Result<Vec<Case>, Violation> {
        let mut cases = Vec::new();
        for network in networks {
            for rule in &self.rules {
                for (rule, settings) in settings(self, rule) {
                    for (on, device) in &self.devices {
                        let case = Case::new((&rule, &settings), network, (on, device), &self.shared);
                        if case.accepted()? {
                            cases.push(case);
                        } else if case.with_rule(&rule, self.default_of(&rule)).accepted()? {
                            let needed = "give the setting a companion (Laws::companion)";
                            return Err(Violation(format!("{case} contradicts the rule's defaults; {needed}")));
                        }
                    }
                }
            }
        }
        self.complete(cases)
    }

    /// Returns the cases after checking that every rule has some.
    fn complete(&self, cases: Vec<Case>) -> Result<Vec<Case>, Violation> {
        match self.rules.iter().find(|rule| !cases.iter().any(|case| case.rule() == rule.as_str())) {
            None => Ok(cases),
            Some(rule) => Err(Violation(format!(
                "{rule} accepts none of the networks; needed: one that it accepts, or Laws::without(&[\"{rule}\"])"
            ))),
        }
    }

    fn default_of(&self, rule: &str) -> Value {
        self.defaults.iter().find(|(name, _)| name == rule).map_or_else(|| json!({}), |(_, settings)| settings.clone())
    }

    fn recipes_of(&self, rule: &str) -> Vec<Settings> {
        let presets = self.values_of(rule).into_iter().filter(|settings| settings.get("preset").is_some());
        std::iter::once(self.default_of(rule)).chain(presets).map(|settings| (rule.to_string(), settings)).collect()
    }

    /// The settings to test for a rule besides its recipes.
    fn variants_of(&self, rule: &str) -> Vec<Settings> {
        let values = self.values_of(rule).into_iter().filter(|settings| settings.get("preset").is_none());
        let values = values.map(|settings| (rule.to_string(), settings));
        values.chain(self.further.iter().filter(|(name, _)| name == rule).cloned()).collect()
    }

    fn further_to_learn(&self) -> Vec<Settings> {
        self.further_to_learn.iter().filter(|(name, _)| self.rules.contains(name)).cloned().collect()
    }

    /// Every value of every setting with named values, with its companion.
    fn values_of(&self, rule: &str) -> Vec<Value> {
        let row = self.shared.rules.iter().find(|row| row.name == rule && self.varied.iter().any(|name| name == rule));
        let together = |alone: Value| {
            let companion = self.companions.iter().find(|(value, _)| *value == alone);
            let entries = [Some(&alone), companion.map(|(_, with)| with)].into_iter().flatten();
            Value::Object(entries.filter_map(Value::as_object).flatten().map(|(k, v)| (k.clone(), v.clone())).collect())
        };
        row.map(|row| one_at_a_time(&(row.schema)())).into_iter().flatten().map(together).collect()
    }
}
