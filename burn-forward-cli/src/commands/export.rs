//! `export`: the inference network as safetensors.

use anyhow::Result;
use burn_forward::training::load_model;

use super::reopen;
use crate::args::{DEFAULT_DEVICE, ExportArgs};
use crate::output::print_line;

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let (run, folder) = reopen(&args.run, Some(DEFAULT_DEVICE), args.data.as_deref())?;
    let model = load_model(&run, &folder)?;
    let out = args.out.clone().unwrap_or_else(|| folder.file("model.safetensors"));
    burn_forward::export::write(&model, &out)?;
    print_line(out.display())
}
