//! `report`: writes one HTML page from run folders.

use anyhow::Result;
use burn_forward_train::report::{RunRecord, write};

use crate::args::ReportArgs;
use crate::output::print_line;

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let out = super::output_file(args.out.as_deref(), args.force, || {
        // The page of the first run alone stays.
        args.runs[0].join(if args.runs.len() > 1 { "comparison.html" } else { "report.html" })
    })?;
    let records = args.runs.iter().map(RunRecord::load).collect::<burn_forward_train::Result<Vec<_>>>()?;
    write(&records, &out)?;
    print_line(out.display())
}
