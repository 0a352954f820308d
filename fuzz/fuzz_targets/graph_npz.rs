//! A graph's `.npz` archive: the zip container, the names of the arrays, and whether they fit together.
#![no_main]

use burn_forward::data::DataFolders;
use burn_forward_fuzz::{folder, write_file};
use burn_forward_gnn::data::{GraphConfig, GraphName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path = write_file("graph.npz", input).to_str().expect("a path of UTF-8").to_owned();
    let folders = DataFolders { config: Some(folder().to_path_buf()), ..DataFolders::default() };
    for weighted in [false, true] {
        let config = GraphConfig { path: Some(path.clone()), weighted, ..GraphConfig::new(GraphName::GraphNpz) };
        if let Ok(set) = config.read(&folders) {
            assert!(set.classes <= set.graph.nodes());
        }
    }
});
