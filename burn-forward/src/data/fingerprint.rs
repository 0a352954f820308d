//! The fingerprint of a data set: one checksum of everything that training and evaluation use.

use sha2::{Digest, Sha256};

/// Combines the parts of a data set into one checksum. Every part is preceded by its length, so that parts cannot be
/// confused.
///
/// ```
/// use burn_forward::data::Fingerprint;
///
/// let of = |labels: &[u64], pixels: &[u8]| {
///     let mut print = Fingerprint::default();
///     print.numbers(labels.iter().copied());
///     print.bytes(pixels);
///     print.finish()
/// };
/// assert_eq!(of(&[1, 2], b"ab"), of(&[1, 2], b"ab"));
/// assert_ne!(of(&[1, 2], b"ab"), of(&[2, 1], b"ab"));
/// assert_ne!(of(&[], &1u64.to_le_bytes()), of(&[1], &[]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a part.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds a part that consists of numbers.
    pub fn numbers(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        self.bytes(&bytes);
    }

    /// The fingerprint, in hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
