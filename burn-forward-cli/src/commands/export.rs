//! `export`: the inference network as safetensors.

use anyhow::Result;
use burn_forward::training::load_model;

use super::reopen;
use crate::args::{DEFAULT_DEVICE, ExportArgs};
use crate::output::print_line;

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let out = super::output_file(args.out.as_deref(), args.force, || args.run.join("model.safetensors"))?;
    let (run, folder) = reopen(&args.run, Some(DEFAULT_DEVICE), args.data.as_deref())?;
    let model = load_model(&run, &folder)?;
    burn_forward::export::write(&model, &out)?;
    print_line(out.display())
}
