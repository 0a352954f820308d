//! The messages of TensorBoard's event files that are needed for scalars, in protocol-buffer encoding.
//!
//! | message | field | number, type |
//! |---|---|---|
//! | `Event` | `wall_time` | 1, double |
//! | | `step` | 2, int64 |
//! | | `file_version` | 3, string |
//! | | `summary` | 5, `Summary` |
//! | `Summary` | `value` | 1, repeated `Value` |
//! | `Value` | `tag` | 1, string |
//! | | `simple_value` | 2, float |

/// Wire types of fields, numbered as in protocol buffers.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// Appends a number in groups of seven bits, lowest group first.
fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push((number as u8) | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn key(message: &mut Vec<u8>, field: u64, wire: Wire) {
    varint(message, (field << 3) | wire as u64);
}

fn bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    key(message, field, Wire::Bytes);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// The first fields of an event at `seconds` since 1970. Step 0 is the default and is left out.
fn event(seconds: f64, step: u64) -> Vec<u8> {
    let mut message = Vec::new();
    key(&mut message, 1, Wire::Fixed64);
    message.extend(seconds.to_le_bytes());
    if step > 0 {
        key(&mut message, 2, Wire::Varint);
        varint(&mut message, step);
    }
    message
}

/// The event at the beginning of a file.
pub(super) fn version(seconds: f64) -> Vec<u8> {
    let mut message = event(seconds, 0);
    bytes(&mut message, 3, b"brain.Event:2");
    message
}

/// The event with the scalars of one step, each with its tag.
pub(super) fn scalars(seconds: f64, step: u64, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, scalar) in scalars {
        let mut value = Vec::new();
        bytes(&mut value, 1, tag.as_bytes());
        key(&mut value, 2, Wire::Fixed32);
        value.extend((*scalar as f32).to_le_bytes());
        bytes(&mut summary, 1, &value);
    }
    let mut message = event(seconds, step);
    bytes(&mut message, 5, &summary);
    message
}

#[cfg(test)]
mod tests {
    use super::super::record;
    use super::*;

    /// The output of tensorboard 2.21.0 with its own messages and its `RecordWriter`.
    const FILE: &str = "1800000000000000a37f4b2209000040892fc1da411a0d627261696e2e4576656e743a320c77b03c3d000000000000006049f1ec\
        090000e0892fc1da4110ac022a2f0a130a0c6c6f73732f6e6574776f726b150000003f0a180a1161636375726163792f626c6f636b2d31\
        32150000603fb3b9c9b4";

    #[test]
    fn a_file_is_that_of_tensorboard() {
        let values = [("loss/network".to_owned(), 0.5), ("accuracy/block-12".to_owned(), 0.875)];
        let mut file = Vec::new();
        record::push(&mut file, &version(1_795_472_933.0));
        record::push(&mut file, &scalars(1_795_472_935.5, 300, &values));
        let hexadecimal: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, FILE);
    }

    #[test]
    fn numbers_in_groups_of_seven_bits() {
        for (number, expected) in [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])] {
            let mut encoded = Vec::new();
            varint(&mut encoded, number);
            assert_eq!(encoded, expected);
        }
        let mut encoded = Vec::new();
        varint(&mut encoded, u64::MAX);
        assert_eq!(encoded, [vec![0xff; 9], vec![1]].concat());
    }
}
