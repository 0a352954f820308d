//! The report of hand-written run folders in `tests/fixtures/report`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{RunRecord, Split, render, write};
use crate::Error;

/// This crate's folder at the time the tests run: they may have been compiled in another checkout.
fn this_crate() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

fn fixture(name: &str) -> PathBuf {
    this_crate().join("tests/fixtures/report").join(name)
}

fn load(name: &str) -> RunRecord {
    RunRecord::load(fixture(name)).unwrap()
}

/// A copy of a fixture in which `edit` may damage files.
fn copy(name: &str, edit: impl FnOnce(&Path)) -> (TempDir, crate::Result<RunRecord>) {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    edit(folder.path());
    let record = RunRecord::load(folder.path());
    (folder, record)
}

fn replace(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn assert_contains(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "the page lacks {text:?}");
    }
}

#[test]
fn every_figure_of_the_summary_appears() {
    let page = render(&[load("finished")]).unwrap();
    let known = [
        ">ff-mlp-greedy<",
        "forward-forward",
        "mlp 784-1000-1000-500",
        "fashion-mnist",
        "greedy",
        ">flex<",
        // Seed, epochs, test and validation accuracy.
        "<dt>Seed</dt><dd>0</dd>",
        "<dt>Epochs</dt><dd>12</dd>",
        "84.31 %",
        "84.67 %",
        // Training, per epoch, peak memory.
        "2 min 38 s",
        "13.2 s",
        "345 MiB",
        "361,758,720 bytes",
        // Parameters without heads, with heads, and exactly.
        "2.29 M",
        "2,291,510 with heads",
        "2,286,500",
        "<b>5,010</b>",
        // Blocks.
        "dense 784-&gt;1000",
        "dense 1000-&gt;1000",
        "dense 1000-&gt;500",
        "785,000",
        "1,001,000",
        "500,500",
        "1000 KiB",
        "500 KiB",
    ];
    assert_contains(&page, &known);
}

#[test]
fn figures_of_the_other_files_appear() {
    let page = render(&[load("finished")]).unwrap();
    let of_evaluation = ["8,431 of 10,000 test samples right", "0.5712", "77.12 %", "19.20 %", "0.671", "4.900"];
    let of_audit = ["71.4°", "58.2°", "0.1830", "1.070"];
    let of_run = ["49c12be", "2026-11-20T09:12:04Z", "host.cpus", "0.22.1", ">finished<"];
    for texts in [&of_evaluation[..], &of_audit, &of_run, &["&quot;epochs_per_block&quot;: 4"]] {
        assert_contains(&page, texts);
    }
}

#[test]
fn an_unfinished_run_says_what_is_missing_and_invents_nothing() {
    let run = load("unfinished");
    assert_eq!(run.notes, ["metrics.jsonl: the last row (line 43) was cut off and is left out"]);
    assert_eq!(run.epochs(), Some(7));
    let page = render(&[run]).unwrap();
    assert_contains(
        &page,
        &[
            "summary.json, evaluation.json are not in the run folder",
            "the last row (line 43) was cut off",
            "<dt>Test accuracy</dt><dd>–</dd>",
            "<dt>Peak memory</dt><dd>–</dd>",
            "<dd class=\"more\">epoch 7, the last one</dd>",
            "Accuracy per block (validation, epoch 7)",
            "evaluation.json is missing",
            "metrics.jsonl has no goodness",
            ">running<",
        ],
    );
    assert!(!page.contains("Alignment with back-propagation"), "an audit that was not asked for is not missing");
}

#[test]
fn a_run_without_any_row_has_a_report() {
    let (_folder, run) = copy("unfinished", |folder| {
        fs::write(folder.join("metrics.jsonl"), "").unwrap();
        fs::remove_file(folder.join("run.json")).unwrap();
    });
    let page = render(&[run.unwrap()]).unwrap();
    assert_contains(&page, &["no epoch was finished", "run.json is missing", "status unknown", ">mf-mlp<"]);
}

#[test]
fn the_page_runs_and_fetches_nothing() {
    let page = render(&[load("finished"), load("unfinished")]).unwrap();
    let lower = page.to_lowercase();
    for forbidden in
        ["<script", "http://", "https://", "src=", "@import", "url(", "<link", "<iframe", "javascript:", "onload"]
    {
        assert!(!lower.contains(forbidden), "the page contains {forbidden}");
    }
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().unwrap();
        let id = target.strip_prefix('#').unwrap_or_else(|| panic!("a link leads out of the page: {target}"));
        assert!(page.contains(&format!("id=\"{id}\"")), "a link leads nowhere: {target}");
    }
    assert!(!page.contains("NaN") && !page.contains(">inf"));
}

#[test]
fn markup_in_files_is_shown_and_not_obeyed() {
    const EVIL: &str = "<script>alert('1')</script>\\\" onmouseover=\\\"x";
    let (_folder, run) = copy("finished", |folder| {
        for file in ["run.json", "summary.json", "config.json"] {
            replace(folder, file, "ff-mlp-greedy", EVIL);
        }
        replace(folder, "run.json", "\"finished\"", &format!("\"{EVIL}\""));
        replace(folder, "run.json", "\"device\"", "\"<script>key\": 1, \"device\"");
        replace(folder, "summary.json", "dense 784->1000", EVIL);
        replace(folder, "evaluation.json", "\"test\"", &format!("\"{EVIL}\""));
        for field in ["forward-forward", "mlp 784-1000-1000-500", "fashion-mnist", "greedy\"", "flex"] {
            let end = if field.ends_with('"') { "\"" } else { "" };
            replace(folder, "summary.json", field, &format!("{EVIL}{end}"));
        }
    });
    let page = render(&[run.unwrap(), load("unfinished")]).unwrap();
    assert!(!page.to_lowercase().contains("<script"), "a text of a file became markup");
    assert!(!page.contains("\" onmouseover"), "a text of a file left its attribute");
    assert_contains(&page, &["&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onmouseover=&quot;x"]);
}

#[test]
fn runs_that_differ_in_the_seed_are_one_row() {
    let seeds = [("0", "0.8431"), ("1", "0.8451"), ("2", "0.8471")].map(|(seed, accuracy)| {
        copy("finished", |folder| {
            for file in ["config.json", "run.json", "summary.json"] {
                replace(folder, file, "\"seed\": 0", &format!("\"seed\": {seed}"));
                replace(folder, file, "ff-mlp-greedy", &format!("ff-mlp-greedy-{seed}"));
            }
            replace(folder, "summary.json", "0.8431", accuracy);
        })
    });
    let mut runs: Vec<RunRecord> = vec![load("unfinished")];
    runs.extend(seeds.iter().map(|(_, run)| run.as_ref().unwrap().clone()));
    let page = render(&runs).unwrap();
    let ranking = page.split("<section id=\"run-0\"").next().unwrap();
    let seeds: Vec<String> = (0..3).map(|seed| format!("<a href=\"#run-{}\">{seed}</a>", seed + 1)).collect();
    assert_contains(ranking, &["84.51 ± 0.20 %", &seeds.join(", "), "Not finished: mf-mlp."]);
    // A header row, the row of the three seeds, and last the run without a test.
    assert_eq!(ranking.matches("<tr>").count(), 3);
    assert!(ranking.find("ff-mlp-greedy-0").unwrap() < ranking.find("href=\"#run-0\">mf-mlp</a></td>").unwrap());
}

#[test]
fn seeds_of_one_name_are_named_once_and_what_all_runs_share_has_no_column() {
    let run = |seed: u64| {
        let mut run = load("finished");
        run.config["seed"] = seed.into();
        run.summary.as_mut().unwrap().seed = Some(seed);
        run.info.as_mut().unwrap().seed = Some(seed);
        run
    };
    let page = render(&[run(0), run(1)]).unwrap();
    let ranking = page.split("class=\"ranking\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert_eq!(ranking.matches("ff-mlp-greedy").count(), 1, "{ranking}");
    assert!(!ranking.contains("Schedule") && page.contains("Schedule: greedy."), "{ranking}");
    assert_contains(&page, &["<a href=\"#run-1\">ff-mlp-greedy, seed 1</a>", "<h1>ff-mlp-greedy, seed 0</h1>"]);
}

#[test]
fn damaged_files_are_named_with_their_line() {
    let message = |file: &'static str, from: &'static str, to: &'static str| {
        let (_folder, run) = copy("finished", |folder| replace(folder, file, from, to));
        let error = run.unwrap_err();
        assert!(matches!(error, Error::RunFolder { .. }), "{error:?}");
        error.to_string()
    };
    let text = message("summary.json", "\"epochs\": 12", "\"epochs\": twelve");
    assert!(text.contains("summary.json: expected ident at line 8 column"), "{text}");
    let text = message(
        "metrics.jsonl",
        "{\"epoch\": 1, \"split\": \"validation\", \"block\": null",
        "{\"epoch\": 1, \"split\": 7",
    );
    assert!(text.contains("metrics.jsonl, line 4, column "), "{text}");
    let text = message("config.json", "{", "");
    assert!(text.contains("config.json: ") && text.contains("line"), "{text}");
}

#[test]
fn missing_folders_and_files_are_named() {
    let text = RunRecord::load(fixture("nowhere")).unwrap_err().to_string();
    assert!(text.ends_with("nowhere: there is no such folder"), "{text}");
    for file in ["config.json", "metrics.jsonl"] {
        let (_folder, run) = copy("finished", |folder| fs::remove_file(folder.join(file)).unwrap());
        let text = run.unwrap_err().to_string();
        assert!(text.ends_with(&format!("{file} is missing: is this a run folder?")), "{text}");
    }
}

#[test]
fn of_a_row_that_was_written_twice_the_later_counts() {
    let (_folder, run) = copy("finished", |folder| {
        let path = folder.join("metrics.jsonl");
        let rows = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{rows}{{\"epoch\":12,\"split\":\"validation\",\"block\":null,\"accuracy\":0.5}}\n"))
            .unwrap();
    });
    let run = run.unwrap();
    assert_eq!(run.curve(Split::Validation, None, |row| row.accuracy).last(), Some(&(12.0, Some(0.5))));
    assert!(run.notes[0].contains("1 row was written again"), "{:?}", run.notes);
}

#[test]
fn many_classes_are_a_list_and_not_a_matrix() {
    let mut run = load("finished");
    let evaluation = run.evaluation.as_mut().unwrap();
    evaluation.confusion =
        (0..100).map(|i| (0..100).map(|j| u64::from(i == j) * 9 + u64::from(j == i + 1)).collect()).collect();
    let page = render(&[run]).unwrap();
    assert_contains(&page, &["The 20 most frequent mistakes among 100 classes", "10.00 %"]);
    assert!(!page.contains("class=\"confusion\""));
}

#[test]
fn odd_numbers_and_unfitting_lists_do_not_break_the_page() {
    let mut run = load("finished");
    let evaluation = run.evaluation.as_mut().unwrap();
    evaluation.confusion = vec![vec![0, 0], vec![1, 2, 3], vec![]];
    evaluation.blocks[0].goodness.as_mut().unwrap().edges.pop();
    evaluation.blocks[1].accuracy = Some(f64::NAN);
    evaluation.blocks[1].hoyer = Some(f64::NAN);
    run.metrics.iter_mut().for_each(|row| row.loss = None);
    let page = render(&[run]).unwrap();
    assert_contains(&page, &["Block 0 is not drawn: 24 edges do not fit 24 positive and 24 negative bins."]);
    assert_contains(&page, &["Cross-entropy, training: metrics.jsonl has none."]);
    assert!(!page.contains("NaN"));
}

#[test]
fn writing_replaces_the_old_report_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report.html");
    fs::write(&out, "old").unwrap();
    let runs = [load("finished")];
    write(&runs, &out).unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), render(&runs).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // A file cannot replace a folder: writing fails and leaves nothing behind.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("file"), "").unwrap();
    assert!(matches!(write(&runs, &taken), Err(Error::Write { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn no_runs_are_refused() {
    assert!(matches!(render(&[]), Err(Error::Library(burn_forward::Error::Argument { .. }))));
}
