//! `export`: the inference network as safetensors.

use anyhow::Result;

use burn_forward::registry::Registry;

use super::SavedRun;
use crate::args::{DEFAULT_DEVICE, ExportArgs};
use crate::output::print_line;

pub(crate) fn run(args: &ExportArgs, registry: &Registry) -> Result<()> {
    let out = super::output_file(args.out.as_deref(), args.force, || args.run.join("model.safetensors"))?;
    let (saved, model) = SavedRun::open(&args.run, Some(DEFAULT_DEVICE), args.data.as_deref(), registry)?.model()?;
    saved.warn_unless_result();
    burn_forward_train::export::write(&model, &out)?;
    print_line(out.display())
}
