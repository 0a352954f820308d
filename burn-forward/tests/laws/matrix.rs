//! Dense linear algebra in `f64`, for computations by hand.

/// A matrix in row-major order.
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn new(values: &[f32], columns: usize) -> Self {
        Self { rows: values.len() / columns, columns, values: values.iter().map(|v| *v as f64).collect() }
    }

    pub(crate) fn of(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        let values = (0..rows * columns).map(|i| f(i / columns, i % columns)).collect();
        Self { rows, columns, values }
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    pub(crate) fn transposed(&self) -> Self {
        Self::of(self.columns, self.rows, |i, j| self.at(j, i))
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        Self::of(self.rows, other.columns, |i, j| (0..self.columns).map(|k| self.at(i, k) * other.at(k, j)).sum())
    }

    pub(crate) fn column_sums(&self) -> Vec<f32> {
        (0..self.columns).map(|j| (0..self.rows).map(|i| self.at(i, j)).sum::<f64>() as f32).collect()
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self::of(self.rows, self.columns, |i, j| self.at(i, j) - other.at(i, j))
    }

    pub(crate) fn single(&self) -> Vec<f32> {
        self.values.iter().map(|v| *v as f32).collect()
    }

    /// The solution `X` of `self X = right`, by Gaussian elimination with partial pivoting.
    pub(crate) fn solve(&self, right: &Self) -> Self {
        let (n, m) = (self.rows, right.columns);
        let row = |i: usize| (0..n + m).map(|j| if j < n { self.at(i, j) } else { right.at(i, j - n) }).collect();
        let mut rows: Vec<Vec<f64>> = (0..n).map(row).collect();
        for k in 0..n {
            let pivot = (k..n).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs())).unwrap();
            rows.swap(k, pivot);
            let pivot: Vec<f64> = rows[k].iter().map(|v| v / rows[k][k]).collect();
            for (i, row) in rows.iter_mut().enumerate() {
                let factor = if i == k { 0.0 } else { row[k] };
                row.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
            }
            rows[k] = pivot;
        }
        Self::of(n, m, |i, j| rows[i][n + j])
    }
}

#[test]
fn a_solved_system_is_solved() {
    // The first pivot is 0.
    let a = Matrix::new(&[0.0, 2.0, 1.0, 1.0, -1.0, 3.0, 4.0, 0.5, -2.0], 3);
    let x = Matrix::new(&[1.0, -2.0, 0.5, 3.0, -4.0, 0.25], 2);
    let solved = a.solve(&a.times(&x));
    assert!(solved.values.iter().zip(&x.values).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", solved.values);
}
