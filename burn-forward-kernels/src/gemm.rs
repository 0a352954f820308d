//! Matrix products on slices, `C = A B` and `C += A B`: what the operations of this crate are made of. The products are those
//! of the crate `gemm`, which Burn's flex backend uses itself.

/// Where the entries of a matrix lie in a slice: entry `(i, j)` at `i row + j column`.
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

    /// Numbers between the first and the last, both included; more than any slice has where that is no number.
    fn span(self, rows: usize, columns: usize) -> usize {
        if rows == 0 || columns == 0 {
            return 0;
        }
        let last = (rows - 1).saturating_mul(self.row).saturating_add((columns - 1).saturating_mul(self.column));
        last.saturating_add(1)
    }

    /// Whether every entry has a place of its own: rows lie after each other, or columns do.
    fn is_distinct(self, rows: usize, columns: usize) -> bool {
        let by_row = rows <= 1 || self.row > (columns - 1).saturating_mul(self.column);
        let by_column = columns <= 1 || self.column > (rows - 1).saturating_mul(self.row);
        let step = (rows <= 1 || self.row > 0) && (columns <= 1 || self.column > 0);
        rows == 0 || columns == 0 || (step && (by_row || by_column))
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
    assert!(ct.is_distinct(m, n), "overlapping result {m}x{n}");
    let signed = |stride: usize| stride as isize;
    // SAFETY: every entry that is read or written lies within its slice, which the first assertion has checked; `c` is
    // borrowed mutably, so nothing else refers to it; entries of `c` do not overlap, as the second one has checked. A stride
    // along an axis of one entry may be any number and is never multiplied by anything but 0.
    #[allow(unsafe_code, reason = "the interface of the matrix product that Burn's flex backend uses itself")]
    unsafe {
        ::gemm::gemm(
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
            ::gemm::Parallelism::None,
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

    /// `[2, 2]` in a slice of 3, and at strides whose last entry is beyond every address.
    #[test]
    fn never_beyond_a_slice() {
        let rows = Strides::rows(2);
        let beyond =
            [(3, rows), (4, Strides { row: usize::MAX, column: 2 }), (4, Strides { row: 2, column: usize::MAX })];
        for (length, strides) in beyond {
            for wrong in 0..3 {
                let result = std::panic::catch_unwind(|| {
                    let at = |matrix| if matrix == wrong { (length, strides) } else { (4, rows) };
                    let [a, b, c] = [0, 1, 2].map(at);
                    let mut result = vec![0.0; c.0];
                    multiply([2; 3], (&vec![0.0; a.0], a.1), (&vec![0.0; b.0], b.1), (&mut result, c.1), false);
                });
                let payload = result.expect_err("within the slice");
                assert!(payload.downcast_ref::<String>().unwrap().starts_with("matrix product"));
            }
        }
    }

    #[test]
    fn places_of_a_result_differ() {
        let distinct = |row, column| Strides { row, column }.is_distinct(3, 2);
        // The places of [3, 2], written out: i row + j column.
        for (row, column) in (0..8).flat_map(|row| (0..8).map(move |column| (row, column))) {
            let mut places: Vec<usize> = (0..3).flat_map(|i| (0..2).map(move |j| i * row + j * column)).collect();
            places.sort_unstable();
            places.dedup();
            // Strides that are taken have distinct places; a few more have them by chance.
            assert!(!distinct(row, column) || places.len() == 6, "{row} {column}");
        }
        assert!(distinct(2, 1) && distinct(5, 1) && distinct(1, 3) && !distinct(4, 0) && !distinct(1, 1));
    }
}
