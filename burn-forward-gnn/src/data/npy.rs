//! Arrays of numbers in the NPY format: magic, version, a header in Python's notation, values.

/// An array as `f64`, which holds every index and feature of a graph exactly.
#[derive(Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    pub(super) shape: Vec<usize>,
}

/// Reads an array.
///
/// # Errors
/// What was found instead of one.
pub(super) fn numbers(bytes: &[u8]) -> Result<Numbers, String> {
    let version = match bytes.get(..8) {
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', major, _]) => *major,
        _ => return Err("no NPY magic number".into()),
    };
    // Version 1 has a header length of two bytes, the later ones of four.
    let (start, length) = match (version, bytes.get(8..12)) {
        (1, Some(&[a, b, ..])) => (10, u16::from_le_bytes([a, b]) as usize),
        (2 | 3, Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        _ => return Err(format!("NPY version {version}")),
    };
    let header = bytes.get(start..start + length).and_then(|h| std::str::from_utf8(h).ok());
    let header = header.ok_or("a header that is cut short")?;
    if value_of(header, "fortran_order")?.starts_with("True") {
        return Err("an array in Fortran order".into());
    }
    let kind = value_of(header, "descr")?.trim_start_matches(['\'', '"']);
    let kind = kind.split(['\'', '"']).next().unwrap_or_default();
    let shape = value_of(header, "shape")?.trim_start_matches('(');
    let shape = shape.split(')').next().unwrap_or_default();
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().map_err(|_| format!("shape {shape:?}")))
        .collect::<Result<_, _>>()?;
    let values = convert(kind, &bytes[start + length..])?;
    let count: usize = shape.iter().product();
    if values.len() != count {
        return Err(format!("{} values of shape {shape:?}", values.len()));
    }
    Ok(Numbers { values, shape })
}

/// What follows a key of the header.
fn value_of<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let at = header.find(&format!("'{key}'")).ok_or_else(|| format!("a header without {key}"))?;
    let (_, value) = header[at..].split_once(':').ok_or_else(|| format!("a header without {key}"))?;
    Ok(value.trim_start())
}

fn convert(kind: &str, bytes: &[u8]) -> Result<Vec<f64>, String> {
    macro_rules! of {
        ($t:ty) => {
            Ok(bytes
                .chunks_exact(size_of::<$t>())
                .map(|c| {
                    let mut raw = [0; size_of::<$t>()];
                    raw.copy_from_slice(c);
                    <$t>::from_le_bytes(raw) as f64
                })
                .collect())
        };
    }
    match kind {
        "<f4" => of!(f32),
        "<f8" => of!(f64),
        "<i2" => of!(i16),
        "<i4" => of!(i32),
        "<i8" => of!(i64),
        "<u2" => of!(u16),
        "<u4" => of!(u32),
        "<u8" => of!(u64),
        "|i1" => of!(i8),
        "|u1" | "|b1" => of!(u8),
        other => Err(format!("numbers of type {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(header: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values);
        bytes
    }

    #[test]
    fn an_array_by_hand() {
        let values: Vec<u8> = [1i32, -2, 300].iter().flat_map(|v| v.to_le_bytes()).collect();
        let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }\n";
        let read = numbers(&array(header, &values)).unwrap();
        assert_eq!(read, Numbers { values: vec![1.0, -2.0, 300.0], shape: vec![3] });
        assert!(numbers(&array(header, &values[..8])).unwrap_err().contains("2 values of shape [3]"));
        let object = header.replace("<i4", "|O");
        assert_eq!(numbers(&array(&object, &values)).unwrap_err(), "numbers of type \"|O\"");
        assert_eq!(numbers(b"nonsense").unwrap_err(), "no NPY magic number");
        assert_eq!(
            numbers(&array(&header.replace("False", "True"), &values)).unwrap_err(),
            "an array in Fortran order"
        );
    }
}
