//! `report`: one HTML page from run folders.

use anyhow::Result;
use burn_forward::report::{RunRecord, write};

use crate::args::ReportArgs;
use crate::output::print_line;

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let records = args.runs.iter().map(RunRecord::load).collect::<burn_forward::Result<Vec<_>>>()?;
    let out = args.out.clone().unwrap_or_else(|| args.runs[0].join("report.html"));
    write(&records, &out)?;
    print_line(out.display())
}
