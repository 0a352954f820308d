//! A real browser renders the report: the screenshot has the requested size and is not blank.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use burn_forward_testing::skip;
use burn_forward_train::report::{self, RunRecord};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 3000;

/// This crate's folder at the time the tests run: they may have been compiled in another checkout.
fn this_crate() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

#[test]
fn chromium_draws_the_report_in_light_and_dark() {
    let missing =
        Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    if missing {
        skip::without_tool("chromium");
        return;
    }
    let fixtures = this_crate().join("tests/fixtures/report");
    let runs = ["finished", "unfinished"].map(|run| RunRecord::load(fixtures.join(run)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    report::write(&runs, &page).unwrap();
    let light = screenshot(&page, &folder.path().join("light.png"), 1);
    let dark = screenshot(&page, &folder.path().join("dark.png"), 0);
    assert_ne!(light, dark, "the reader's preference for dark changes nothing");
}

/// The bytes of a screenshot of `page`, checked for size and content. `scheme` is Blink's number: 0 for dark, 1 for
/// light.
fn screenshot(page: &Path, out: &Path, scheme: u8) -> Vec<u8> {
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={WIDTH},{HEIGHT}"))
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--screenshot={}", out.display()))
        .arg(format!("file://{}", page.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while browser.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(120) {
            browser.kill().unwrap();
            browser.wait().unwrap();
            panic!("chromium did not finish within two minutes");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let png = fs::read(out).expect("chromium wrote no picture");
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (WIDTH, HEIGHT));
    // A blank page of this size compresses to about 10 kB with a handful of distinct bytes.
    let distinct = png.iter().collect::<BTreeSet<_>>().len();
    assert!(png.len() > 60_000 && distinct > 200, "blank? {} bytes, {distinct} distinct", png.len());
    png
}
