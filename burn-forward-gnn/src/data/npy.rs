//! Arrays of numbers in the NPY format: magic number, version, a header in Python's notation, values.

use std::io::Read;

use half::f16;

/// An array as `f64`, which represents every index and feature of a graph exactly.
#[derive(Debug, PartialEq)]
pub(super) struct Numbers {
    /// Values in C order.
    pub(super) values: Vec<f64>,
    pub(super) shape: Vec<usize>,
}

/// Reads an array, up to the end of the reader. The sizes in the header are not trusted: memory is allocated only for values
/// that exist.
///
/// # Errors
/// A description of what was found instead of an array.
pub(super) fn numbers(mut reader: impl Read) -> Result<Numbers, String> {
    let start = take(&mut reader, 8)?;
    let version = match start[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', major, _] => major,
        _ => return Err("no NPY magic number".into()),
    };
    // The header length has two bytes in version 1, and four bytes in later versions.
    let size = match version {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(format!("NPY version {version}")),
    };
    let size = take(&mut reader, size)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    let header = String::from_utf8(take(&mut reader, size)?).map_err(|_| "a header that is not text")?;
    let columns_first = value_of(&header, "fortran_order")?.starts_with("True");
    let kind = value_of(&header, "descr")?.trim_start_matches(['\'', '"']);
    let kind = kind.split(['\'', '"']).next().unwrap_or_default();
    let shape = value_of(&header, "shape")?.trim_start_matches('(');
    let shape = shape.split(')').next().unwrap_or_default();
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().map_err(|_| format!("shape {shape:?}")))
        .collect::<Result<_, _>>()?;
    let read = Kind::of(kind)?;
    let bytes = shape.iter().try_fold(read.size as u64, |product, n| product.checked_mul(*n as u64));
    let bytes = bytes.ok_or_else(|| format!("shape {shape:?}"))?;
    let raw = take(&mut reader, bytes).map_err(|found| format!("{found} of an array of shape {shape:?}"))?;
    if read_some(&mut reader, 1)?.len() == 1 {
        return Err(format!("bytes after an array of shape {shape:?}"));
    }
    let values: Vec<f64> = raw.chunks_exact(read.size).map(|bytes| (read.number)(bytes, read.big)).collect();
    let values = match shape[..] {
        [_, _, _, ..] if columns_first => return Err(format!("an array of shape {shape:?} in Fortran order")),
        [rows, columns] if columns_first => {
            (0..rows).flat_map(|i| (0..columns).map(move |j| j * rows + i)).map(|k| values[k]).collect()
        }
        _ => values,
    };
    Ok(Numbers { values, shape })
}

/// Reads at most `n` bytes.
fn read_some(reader: &mut impl Read, n: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(n).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn take(reader: &mut impl Read, n: u64) -> Result<Vec<u8>, String> {
    let bytes = read_some(reader, n)?;
    if (bytes.len() as u64) < n { Err(format!("{} of {n} bytes", bytes.len())) } else { Ok(bytes) }
}

/// The text after a key of the header.
fn value_of<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let at = header.find(&format!("'{key}'")).ok_or_else(|| format!("a header without {key}"))?;
    let (_, value) = header[at..].split_once(':').ok_or_else(|| format!("a header without {key}"))?;
    Ok(value.trim_start())
}

/// A number type.
struct Kind {
    /// Number of bytes of a number.
    size: usize,
    /// Whether the most significant byte comes first.
    big: bool,
    number: fn(&[u8], bool) -> f64,
}

impl Kind {
    /// The type for a description such as `<f4`.
    fn of(description: &str) -> Result<Self, String> {
        let unknown = || format!("numbers of type {description:?}");
        let (order, name) = description.split_at_checked(1).ok_or_else(unknown)?;
        let big = match order {
            "<" | "|" | "=" => false,
            ">" => true,
            _ => return Err(unknown()),
        };
        macro_rules! kind {
            ($t:ty, $convert:expr) => {
                Self {
                    size: size_of::<$t>(),
                    big,
                    number: |bytes, big| {
                        let mut raw = [0; size_of::<$t>()];
                        raw.copy_from_slice(bytes);
                        $convert(if big { <$t>::from_be_bytes(raw) } else { <$t>::from_le_bytes(raw) })
                    },
                }
            };
            ($t:ty) => {
                kind!($t, |n| n as f64)
            };
        }
        Ok(match name {
            "f2" => kind!(f16, f16::to_f64),
            "f4" => kind!(f32),
            "f8" => kind!(f64),
            "i1" => kind!(i8),
            "i2" => kind!(i16),
            "i4" => kind!(i32),
            "i8" => kind!(i64),
            "u1" | "b1" => kind!(u8),
            "u2" => kind!(u16),
            "u4" => kind!(u32),
            "u8" => kind!(u64),
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn array(header: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values);
        bytes
    }

    const HEADER: &str = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }\n";

    fn three() -> Vec<u8> {
        [1i32, -2, 300].iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn an_array_by_hand() {
        let read = numbers(&array(HEADER, &three())[..]).unwrap();
        assert_eq!(read, Numbers { values: vec![1.0, -2.0, 300.0], shape: vec![3] });
        let big: Vec<u8> = [1i32, -2, 300].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(numbers(&array(&HEADER.replace('<', ">"), &big)[..]).unwrap(), read);
    }

    #[test]
    fn half_precision() {
        // 1.5 is 0 01111 1000000000; -2^-24 is the smallest subnormal number, negated.
        let values = [0x3e00u16, 0x8001].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let header = HEADER.replace("i4", "f2").replace("(3,)", "(2,)");
        assert_eq!(numbers(&array(&header, &values)[..]).unwrap().values, [1.5, -(0.5f64.powi(24))]);
    }

    #[test]
    fn columns_first() {
        // The matrix with rows 1 2 3 and 4 5 6.
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
        let read = numbers(&array(header, &[1, 4, 2, 5, 3, 6])[..]).unwrap();
        assert_eq!(read, Numbers { values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], shape: vec![2, 3] });
    }

    #[rstest]
    #[case(HEADER, 8, "8 of 12 bytes of an array of shape [3]")]
    #[case(&HEADER.replace("(3,)", "(2,)"), 12, "bytes after an array of shape [2]")]
    #[case(&HEADER.replace("<i4", "|O"), 12, "numbers of type \"|O\"")]
    #[case(&HEADER.replace("(3,)", "(99999999999, 99999999999)"), 12, "shape [99999999999, 99999999999]")]
    #[case(&HEADER.replace("(3,)", "(99999999999,)"), 12, "12 of 399999999996 bytes of an array of shape [99999999999]")]
    #[case(&HEADER.replace("(3,)", "(-3,)"), 12, "shape \"-3,\"")]
    #[case("{}", 12, "a header without fortran_order")]
    fn what_is_no_array_is_named(#[case] header: &str, #[case] bytes: usize, #[case] expected: &str) {
        assert_eq!(numbers(&array(header, &three()[..bytes])[..]).unwrap_err(), expected);
    }

    #[test]
    fn nonsense() {
        assert_eq!(numbers(&b"nonsense"[..]).unwrap_err(), "no NPY magic number");
        assert_eq!(numbers(&b"non"[..]).unwrap_err(), "3 of 8 bytes");
    }

    proptest! {
        /// However a file is damaged, it is read or rejected, and no more values are stored than the file has bytes.
        #[test]
        fn damage_is_refused_or_harmless(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut: prop::sample::Index) {
            let mut bytes = array(HEADER, &three());
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let cut = cut.index(bytes.len() + 1);
            if let Ok(read) = numbers(&bytes[..cut]) {
                prop_assert!(read.values.len() <= bytes.len());
            }
        }
    }
}
