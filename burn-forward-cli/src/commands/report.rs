//! `report`: writes one HTML page from run folders.

use anyhow::Result;
use burn_forward_train::report::{RunRecord, write};

use crate::args::ReportArgs;
use crate::output::print_line;

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let out = super::output_file(args.out.as_deref(), args.force, || args.runs[0].join("report.html"))?;
    let records = args.runs.iter().map(RunRecord::load).collect::<burn_forward_train::Result<Vec<_>>>()?;
    write(&records, &out)?;
    print_line(out.display())
}
