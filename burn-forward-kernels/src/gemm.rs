//! Matrix products on slices, `C = A B` and `C += A B`, which the operations of this crate use. They are computed by the crate
//! `gemm`, which Burn's flex backend uses as well.

/// The positions of the entries of a matrix in a slice: entry `(i, j)` is at `i row + j column`.
#[derive(Debug, Clone, Copy)]
pub struct Strides {
    /// Distance from one row to the next.
    pub row: usize,
    /// Distance from one column to the next.
    pub column: usize,
}

impl Strides {
    /// Adjacent rows of `width` numbers.
    pub fn rows(width: usize) -> Self {
        Self { row: width, column: 1 }
    }

    /// The transpose of rows of `width` numbers.
    pub fn transposed(width: usize) -> Self {
        Self { row: 1, column: width }
    }

    /// Number of positions from the first entry to the last, inclusive. On overflow, a number larger than any slice.
    fn span(self, rows: usize, columns: usize) -> usize {
        if rows == 0 || columns == 0 {
            return 0;
        }
        let last = (rows - 1).saturating_mul(self.row).saturating_add((columns - 1).saturating_mul(self.column));
        last.saturating_add(1)
    }

    /// Whether all entries have different positions: either rows or columns do not overlap.
    fn is_distinct(self, rows: usize, columns: usize) -> bool {
        let by_row = rows <= 1 || self.row > (columns - 1).saturating_mul(self.column);
        let by_column = columns <= 1 || self.column > (rows - 1).saturating_mul(self.row);
        let step = (rows <= 1 || self.row > 0) && (columns <= 1 || self.column > 0);
        rows == 0 || columns == 0 || (step && (by_row || by_column))
    }
}

/// `C = A B`, or `C += A B`, with `A` `[m, k]`, `B` `[k, n]`, `C` `[m, n]`, on one thread.
///
/// # Panics
/// If a slice is too small, which is a mistake of the caller; slices are never read beyond their end.
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
    // SAFETY: every entry that is read or written lies within its slice, as the first assertion has checked. `c` is borrowed
    // mutably, so nothing else refers to it. Entries of `c` do not overlap, as the second assertion has checked. The stride
    // along an axis with one entry may be any number, since it is only multiplied by 0.
    #[allow(unsafe_code, reason = "the interface of the matrix product that Burn's flex backend uses")]
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

    /// `[2, 2]` in a slice of 3, and with strides whose last entry is beyond every address.
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
        // The positions of [3, 2], computed directly: i row + j column.
        for (row, column) in (0..8).flat_map(|row| (0..8).map(move |column| (row, column))) {
            let mut places: Vec<usize> = (0..3).flat_map(|i| (0..2).map(move |j| i * row + j * column)).collect();
            places.sort_unstable();
            places.dedup();
            // Accepted strides have different positions; some others have different positions by chance.
            assert!(!distinct(row, column) || places.len() == 6, "{row} {column}");
        }
        assert!(distinct(2, 1) && distinct(5, 1) && distinct(1, 3) && !distinct(4, 0) && !distinct(1, 1));
    }
}
