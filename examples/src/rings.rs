//! A custom data set: points in the plane, each on the ring of its class.

use std::f32::consts::TAU;

use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::data::{DataFolders, DataSpec, LoadedData, Rows};
use burn_forward::random::Seed;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `rings`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `rows` | 1000 | 10 to 1000000 | number of points; a fifth each for validation and test |
/// | `rings` | 3 | 2 to 100 | number of classes; ring `k` has radius `(k + 1) / rings` |
/// | `noise` | 0.05 | [0, 1] | largest shift of a point along either axis |
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RingsConfig {
    /// Number of points.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub rows: usize,
    /// Number of classes.
    #[schemars(range(min = 2, max = 100))]
    pub rings: usize,
    /// Largest shift of a point along either axis.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub noise: f64,
}

impl Default for RingsConfig {
    fn default() -> Self {
        Self { rows: 1000, rings: 3, noise: 0.05 }
    }
}

impl DataSpec for RingsConfig {
    fn validates(&self) -> bool {
        true
    }

    fn shape(&self) -> Option<(RowShape, usize)> {
        Some((RowShape::Features(2), self.rings))
    }

    fn is_there(&self, _folders: &DataFolders) -> bool {
        true
    }

    fn load(&self, _folders: &DataFolders, seed: Seed) -> Result<Box<dyn LoadedData>> {
        let mut rng = seed.stream("rings", &[]);
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for row in 0..self.rows {
            let ring = row % self.rings;
            let (angle, radius) = (TAU * rng.random::<f32>(), (ring + 1) as f32 / self.rings as f32);
            for of_circle in [angle.cos(), angle.sin()] {
                values.push(radius * of_circle + self.noise as f32 * (2.0 * rng.random::<f32>() - 1.0));
            }
            labels.push(ring as u32);
        }
        let rows = Rows::new(RowShape::Features(2), values, labels, self.rings)?;
        Ok(Box::new(rows.split([0.2, 0.2], seed)?))
    }
}
