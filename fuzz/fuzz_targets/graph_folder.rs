//! A graph's text files, separated by lines of `===`: `labels.csv`, `edges.csv`, `features.tsv`, `splits.csv`.
#![no_main]

use burn_forward::data::{DataFolders, DataSpec};
use burn_forward::random::Seed;
use burn_forward_fuzz::{folder, parts, write_files};
use burn_forward_gnn::data::{GraphConfig, GraphName, SplitConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    write_files(&["labels.csv", "edges.csv", "features.tsv", "splits.csv"], &parts(input));
    let folders = DataFolders { config: Some(folder().to_path_buf()), ..DataFolders::default() };
    for weighted in [false, true] {
        let config = GraphConfig {
            path: Some(folder().to_str().expect("a path of UTF-8").to_owned()),
            split: Some(SplitConfig::File("splits".into())),
            weighted,
            ..GraphConfig::new(GraphName::GraphFolder)
        };
        if let Ok(set) = config.read(&folders) {
            assert!(set.classes <= set.graph.nodes());
        }
        drop(config.load(&folders, Seed::new(0)));
    }
});
