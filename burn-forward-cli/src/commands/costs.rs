//! `costs`: time and memory of a training step for several values of a setting.
//!
//! Every value of every arm is measured in a separate process, so that the peak memory is that of this value alone.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::files;
use burn_forward_train::report::{self, CostPoint};
use serde_json::{Value, json};

use super::arms::{Arm, arms};
use super::varied::{parsed, varied};
use super::{RunFailed, output_folder};
use crate::args::CostsArgs;
use crate::output::{note, print, print_line};
use crate::tables::{bytes, seconds, table};

pub(crate) fn run(args: &CostsArgs, registry: &Registry) -> Result<()> {
    let (setting, values) = varied(&args.vary)?;
    let arms = arms(&args.configs, &args.change, true, registry)?;
    for arm in &arms {
        for value in &values {
            // Check before the first point is measured, since measuring may take minutes.
            let origin = format!("arm '{}'", arm.name);
            RunConfig::from_value(&origin, arm.config.clone(), &[format!("{setting}={value}")], registry)?;
        }
    }
    let out = output_folder(args.out.as_deref(), "costs", |_| args.force)?;
    let mut points = Vec::with_capacity(arms.len() * values.len());
    let mut lines = String::new();
    for arm in &arms {
        let config = out.join(format!("{}.json", arm.name));
        files::write(&config, arm.document(&out, None)?)?;
        for value in &values {
            let label = report::setting_label(&parsed(value));
            note(format_args!("{} with {setting}={label}", arm.name));
            let point = measure(args, arm, &config, &setting, value)?;
            let mut line = serde_json::to_value(&point)?;
            line["setting"] = json!(setting);
            lines += &format!("{line}\n");
            if args.json {
                print_line(line)?;
            }
            points.push(point);
        }
    }
    let (figures, page) = (out.join("costs.jsonl"), out.join("report.html"));
    files::write(&figures, lines)?;
    report::write_costs(&setting, &points, &page)?;
    if !args.json {
        print(render(&setting, &points))?;
        print_line(format_args!("\nreport {}", page.display()))?;
    }
    Ok(())
}

fn measure(args: &CostsArgs, arm: &Arm, config: &Path, setting: &str, value: &str) -> Result<CostPoint> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("plan").arg(config).args(["--set", &format!("{setting}={value}")]);
    command.args(["--steps", &args.steps.to_string(), "--json", "--device", args.change.device()]);
    if let Some(data) = &args.change.data {
        command.arg("--data").arg(data);
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        let what = format!("arm '{}' with {setting}={value} failed ({})", arm.name, output.status);
        return Err(RunFailed(what).into());
    }
    let said: Value = serde_json::from_slice(&output.stdout)?;
    Ok(CostPoint {
        arm: arm.name.clone(),
        value: parsed(value),
        blocks: said["blocks"].as_array().map_or(0, Vec::len),
        measured: serde_json::from_value(said["measured"].clone())?,
    })
}

fn render(setting: &str, points: &[CostPoint]) -> String {
    let or_dash = |n: Option<u64>| n.map_or("-".into(), bytes);
    let rows: Vec<Vec<String>> = points
        .iter()
        .map(|point| {
            let cost = &point.measured;
            vec![
                point.arm.clone(),
                point.label(),
                or_dash(cost.peak_above_base_bytes),
                bytes(cost.gradient_bytes as u64),
                bytes(cost.optimizer_bytes as u64),
                or_dash(cost.activation_bytes()),
                bytes(cost.weight_bytes as u64),
                seconds(cost.seconds_per_step),
            ]
        })
        .collect();
    table(&["arm", setting, "peak memory", "gradients", "optimiser", "rest of peak", "weights", "step"], &rows)
}
