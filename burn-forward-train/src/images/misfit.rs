//! Settings that do not fit the images.

use burn_forward::Error;

/// A setting that does not fit the images.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) what: &'static str,
    pub(super) given: String,
    pub(super) needed: String,
}

impl Misfit {
    /// The misfit as the error of a function at `place`.
    pub(super) fn argument(self, place: &'static str) -> Error {
        Error::argument(place, self.what, self.given, self.needed)
    }
}
