//! Matrix products on slices, for operations of our own on the flex backend: the products are those of Burn's flex backend
//! itself.

/// A matrix in a slice: how far apart rows and columns are.
#[derive(Debug, Clone, Copy)]
pub struct Strides {
    /// Numbers from one row to the next.
    pub row: usize,
    /// Numbers from one column to the next.
    pub column: usize,
}

impl Strides {
    /// Rows of `width` numbers, one after the other.
    pub fn rows(width: usize) -> Self {
        Self { row: width, column: 1 }
    }

    /// The transpose of rows of `width` numbers.
    pub fn transposed(width: usize) -> Self {
        Self { row: 1, column: width }
    }

    /// Numbers between the first and the last, both included.
    fn span(self, rows: usize, columns: usize) -> usize {
        if rows == 0 || columns == 0 { 0 } else { (rows - 1) * self.row + (columns - 1) * self.column + 1 }
    }
}

/// `C = A B`, or `C += A B`, with `A` `[m, k]`, `B` `[k, n]`, `C` `[m, n]`, in one thread.
///
/// # Panics
/// With sizes that the slices do not have, which is a mistake in the caller and never a read beyond a slice.
pub fn multiply(
    [m, k, n]: [usize; 3],
    (a, at): (&[f32], Strides),
    (b, bt): (&[f32], Strides),
    (c, ct): (&mut [f32], Strides),
    add: bool,
) {
    assert!(
        at.span(m, k) <= a.len() && bt.span(k, n) <= b.len() && ct.span(m, n) <= c.len(),
        "matrix product {m}x{k}x{n}"
    );
    // Distinct places for distinct entries, which a transposed or a row-wise matrix has when one stride spans the other.
    assert!(ct.row >= n * ct.column || ct.column >= m * ct.row || m <= 1 || n <= 1, "overlapping result {m}x{n}");
    let signed = |stride: usize| stride as isize;
    // SAFETY: every entry that is read or written lies within its slice, which the first assertion has checked; `c` is
    // borrowed mutably, so nothing else refers to it; entries of `c` do not overlap, as the second one has checked.
    #[allow(unsafe_code, reason = "the interface of the matrix product that Burn's flex backend uses itself")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            signed(ct.column),
            signed(ct.row),
            add,
            a.as_ptr(),
            signed(at.column),
            signed(at.row),
            b.as_ptr(),
            signed(bt.column),
            signed(bt.row),
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_by_hand() {
        // [1 2; 3 4] [5 6; 7 8] = [19 22; 43 50]
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let mut c = [1.0; 4];
        multiply([2, 2, 2], (&a, Strides::rows(2)), (&b, Strides::rows(2)), (&mut c, Strides::rows(2)), false);
        assert_eq!(c, [19.0, 22.0, 43.0, 50.0]);
        multiply([2, 2, 2], (&a, Strides::rows(2)), (&b, Strides::rows(2)), (&mut c, Strides::rows(2)), true);
        assert_eq!(c, [38.0, 44.0, 86.0, 100.0]);
        // [1 3; 2 4] [5 6; 7 8] = [26 30; 38 44]
        multiply([2, 2, 2], (&a, Strides::transposed(2)), (&b, Strides::rows(2)), (&mut c, Strides::rows(2)), false);
        assert_eq!(c, [26.0, 30.0, 38.0, 44.0]);
    }

    #[test]
    #[should_panic(expected = "matrix product")]
    fn never_beyond_a_slice() {
        multiply(
            [2, 2, 2],
            (&[0.0; 3], Strides::rows(2)),
            (&[0.0; 4], Strides::rows(2)),
            (&mut [0.0; 4], Strides::rows(2)),
            false,
        );
    }
}
