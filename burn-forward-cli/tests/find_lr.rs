//! `find-lr`: the range test on the command line.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;

use program::{Place, config};
use serde_json::json;

#[test]
fn rates_are_suggested_and_the_files_are_as_asked_for() {
    let place = Place::new();
    place.config("mono.json", &config(json!({"name": "mono-forward"}), json!({})));
    let said = place.run(&["find-lr", "mono.json", "--to", "100", "--json", "--out", "rates.html"]);
    let curve = said.json();
    let points = curve["points"].as_array().unwrap();
    let rate = |i: usize| points[i]["rate"].as_f64().unwrap();
    assert!((rate(0) / 1e-7 - 1.0).abs() < 1e-9 && (rate(1) / rate(0) - 1e9f64.powf(1.0 / 99.0)).abs() < 1e-9);
    // Untrained classifiers for ten classes.
    assert!((points[0]["loss"].as_f64().unwrap() - 10f64.ln()).abs() < 1.0, "{}", points[0]);
    assert_eq!(curve["diverged"], true);
    let (steepest, tenth) = (curve["steepest"].as_f64().unwrap(), curve["tenth_of_minimum"].as_f64().unwrap());
    // A small network with Adam.
    for suggested in [steepest, tenth] {
        assert!(suggested > 1e-5 && suggested < 1.0, "{suggested}");
    }
    let page = fs::read_to_string(place.file("rates.html")).unwrap();
    assert!(page.contains("Learning rates of mono") && page.contains(&format!("{steepest:.2e}")));
    // The same result again, and no other files.
    let again = place.run(&["find-lr", "mono.json", "--to", "100", "--json", "--out", "rates.html", "--force"]);
    assert_eq!(again.out, said.out);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    assert!(place.run(&["find-lr", "mono.json", "--out", "rates.html"]).failed(2).contains("needed: another --out"));
}

#[test]
fn the_curve_on_a_terminal_and_every_rule_with_a_rate() {
    let place = Place::new();
    for rule in ["dfa", "backprop", "zeroth-order"] {
        place.config("rule.json", &config(json!({"name": rule}), json!({})));
        let said = place.run(&["find-lr", "rule.json", "--steps", "20"]);
        assert!(said.done().starts_with("rate "), "{}", said.out);
        assert!(said.out.contains("steepest descent") || said.out.contains("never fell"), "{rule}: {}", said.out);
    }
}

#[test]
fn ranges_that_are_none_are_refused() {
    let place = Place::new();
    place.config("mono.json", &config(json!({"name": "mono-forward"}), json!({})));
    for (arguments, what) in [
        (["--from", "0"], "first rate is 0"),
        (["--from", "-1"], "first rate is -1"),
        (["--to", "1e-8"], "last rate is 0.00000001"),
        (["--steps", "1"], "number of steps is 1"),
    ] {
        let said = place.run(&[&["find-lr", "mono.json"][..], &arguments].concat());
        assert!(said.failed(2).contains(what), "{}", said.err);
    }
}
