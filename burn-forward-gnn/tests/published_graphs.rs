//! The public graphs have their published counts and splits. The tests are skipped if the data folder does not contain the
//! graphs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn_forward::data::{DataFolders, DataSplit, LoadedData};
use burn_forward::random::Seed;
use burn_forward_gnn::data::{GraphConfig, GraphName, SplitConfig};
use burn_forward_testing::skip;

#[test]
fn cora_has_its_public_split() {
    let Some(folders) = skip::unless_data_has("cora") else { return };
    let config = GraphConfig::new(GraphName::Cora);
    let set = config.read(&folders).unwrap();
    // Yang, Cohen and Salakhutdinov 2016; Kipf and Welling 2017, table 1: 2708 nodes, 5429 links (5278 without repetitions),
    // 1433 features, 7 classes; 20 training nodes per class, 500 for validation, 1000 for the test.
    assert_eq!((set.graph.nodes(), set.graph.edges(), set.features.width(), set.classes), (2708, 2 * 5278, 1433, 7));
    assert_eq!(set.features.nonzeros(), 49_216);
    let split = SplitConfig::File("splits".into());
    let split = split.split(&set, Some(&folders.find("cora", "cora").unwrap()), Seed::new(0)).unwrap();
    assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (140, 500, 1000));
    for class in 0..7 {
        assert_eq!(split.train.iter().filter(|n| set.labels[**n as usize] == Some(class)).count(), 20);
    }
}

#[test]
fn cora_ml_is_the_same_graph_in_both_formats() {
    let Some(folders) = skip::unless_data_has("cora_ml") else { return };
    let folder = GraphConfig::new(GraphName::CoraMl).read(&folders).unwrap();
    let npz = GraphConfig { path: Some("cora_ml/cora_ml.npz".into()), ..GraphConfig::new(GraphName::GraphNpz) };
    let npz = npz.read(&folders).unwrap();
    // Park et al. 2024: 2995 nodes, 16316 directed edges, 2879 features, 7 classes.
    assert_eq!((folder.graph.nodes(), folder.graph.edges(), folder.features.width()), (2995, 16_316, 2879));
    assert_eq!(folder.graph.iter().collect::<Vec<_>>(), npz.graph.iter().collect::<Vec<_>>());
    assert_eq!((folder.labels, folder.classes), (npz.labels, npz.classes));
    let (a, b) = (folder.features.dense(), npz.features.dense());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn the_splits_of_cora_ml_are_five_folds() {
    let Some(folders) = skip::unless_data_has("cora_ml") else { return };
    let mut tests = Vec::new();
    for k in 0..5 {
        let config = GraphConfig {
            split: Some(SplitConfig::File(format!("forwardgnn-split{k}"))),
            ..GraphConfig::new(GraphName::CoraMl)
        };
        let data = burn_forward::data::DataSpec::load(&config, &folders, Seed::new(0)).unwrap();
        let sizes = [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|s| LoadedData::samples(&*data, s));
        // 64, 16 and 20 per cent of 2995.
        assert_eq!(
            sizes,
            [1917, 479, 599].map(|n| sizes.into_iter().find(|s| s.abs_diff(n) <= 1).unwrap()),
            "split {k}"
        );
        let set = config.read(&folders).unwrap();
        let split = config.split.clone().unwrap();
        let place = folders.find("cora_ml", "cora_ml").unwrap();
        tests.extend(split.split(&set, Some(&place), Seed::new(0)).unwrap().test);
    }
    tests.sort_unstable();
    assert_eq!(tests, (0..2995).collect::<Vec<u32>>(), "every node is in one test set");
}

#[test]
fn github_has_its_published_counts() {
    let Some(folders) = skip::unless_data_has("github_musae") else { return };
    let set = GraphConfig::new(GraphName::Github).read(&folders).unwrap();
    // Rozemberczki, Allen and Sarkar 2021: 37700 nodes, 289003 edges, 9739 machine-learning developers.
    assert_eq!((set.graph.nodes(), set.graph.edges(), set.features.width()), (37_700, 2 * 289_003, 4005));
    assert_eq!(set.labels.iter().filter(|l| **l == Some(1)).count(), 9739);
}

#[test]
fn a_published_graph_with_a_missing_or_shortened_file_is_an_error() {
    let Some(folders) = skip::unless_data_has("cora") else { return };
    let whole = folders.find("cora", "cora").unwrap();
    let place = tempfile::tempdir().unwrap();
    for (damaged, words) in [("features.tsv.gz", "2708 features"), ("edges.csv.gz", "edges")] {
        let folder = place.path().join(damaged);
        std::fs::create_dir(&folder).unwrap();
        for file in ["edges.csv.gz", "features.tsv.gz", "labels.csv.gz"].into_iter().filter(|file| *file != damaged) {
            std::fs::copy(whole.join(file), folder.join(file)).unwrap();
        }
        if damaged == "edges.csv.gz" {
            std::fs::write(folder.join("edges.csv"), "source,target\n0,1\n").unwrap();
        }
        let config = GraphConfig { path: Some(folder.display().to_string()), ..GraphConfig::new(GraphName::Cora) };
        let error = config.read(&DataFolders::default()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("needed 2708 nodes, 10556 edges, 1433 features"), "{error}");
    }
}
