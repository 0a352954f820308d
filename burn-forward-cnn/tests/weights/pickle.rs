//! Checkpoints in the format of `torch.save`: a zip archive with a pickle and one file per tensor.

/// The content of a checkpoint.
pub(crate) enum Value {
    Dict(Vec<(String, Value)>),
    Int(i32),
    Float(f64),
    Tensor { shape: Vec<usize>, values: Vec<f32> },
}

impl Value {
    pub(crate) fn dict<const N: usize>(items: [(&str, Self); N]) -> Self {
        Self::Dict(items.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// The bytes of the file.
pub(crate) fn checkpoint(root: &Value) -> Vec<u8> {
    let mut storages = Vec::new();
    let mut pickle = vec![0x80, 2];
    write(root, &mut pickle, &mut storages);
    pickle.push(b'.');
    let mut files = vec![("archive/data.pkl".to_owned(), pickle), ("archive/version".to_owned(), b"3\n".to_vec())];
    files.extend(storages.into_iter().enumerate().map(|(i, bytes)| (format!("archive/data/{i}"), bytes)));
    zip(&files)
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(value: i32, out: &mut Vec<u8>) {
    out.push(b'J');
    out.extend(value.to_le_bytes());
}

fn tuple(values: &[usize], out: &mut Vec<u8>) {
    out.push(b'(');
    values.iter().for_each(|value| int(*value as i32, out));
    out.push(b't');
}

fn write(value: &Value, out: &mut Vec<u8>, storages: &mut Vec<Vec<u8>>) {
    match value {
        Value::Dict(items) => {
            out.extend(b"}(");
            for (key, value) in items {
                text(key, out);
                write(value, out, storages);
            }
            out.push(b'u');
        }
        Value::Int(value) => int(*value, out),
        Value::Float(value) => {
            out.push(b'G');
            out.extend(value.to_be_bytes());
        }
        Value::Tensor { shape, values } => {
            // _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text("storage", out);
            out.extend(b"ctorch\nFloatStorage\n");
            text(&storages.len().to_string(), out);
            text("cpu", out);
            int(values.len() as i32, out);
            out.extend(b"tQ");
            int(0, out);
            tuple(shape, out);
            let strides: Vec<usize> = (1..=shape.len()).map(|i| shape[i..].iter().product()).collect();
            tuple(&strides, out);
            out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
            storages.push(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        }
    }
}

/// A zip archive of uncompressed files.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let offset = out.len() as u32;
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields.extend(crc32(bytes).to_le_bytes());
        fields.extend([bytes.len() as u32; 2].iter().flat_map(|n| n.to_le_bytes()));
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([files.len() as u16; 2].iter().flat_map(|n| n.to_le_bytes()));
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}
