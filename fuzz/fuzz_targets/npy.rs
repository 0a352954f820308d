//! An `.npy` array as the dense adjacency matrix of a graph, and a second one as its labels. The target puts them into an
//! uncompressed archive with valid checksums, which the fuzzer could not guess.
#![no_main]

use std::io::{Cursor, Write};

use burn_forward::data::DataFolders;
use burn_forward_fuzz::{folder, parts, write_file};
use burn_forward_gnn::data::{GraphConfig, GraphName};
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|input: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in ["adj_matrix.npy", "labels.npy", "attr_matrix.npy"].iter().zip(parts(input)) {
        archive.start_file(*name, stored).expect("an entry of the archive");
        archive.write_all(bytes).expect("bytes of the archive");
    }
    let path = write_file("arrays.npz", archive.finish().expect("an archive").get_ref());
    let path = path.to_str().expect("a path of UTF-8").to_owned();
    let config = GraphConfig { path: Some(path), weighted: true, ..GraphConfig::new(GraphName::GraphNpz) };
    let folders = DataFolders { config: Some(folder().to_path_buf()), ..DataFolders::default() };
    if let Ok(set) = config.read(&folders) {
        assert!(set.classes <= set.graph.nodes());
    }
});
