use super::*;

/// Row `i` has the features `i` and `-i` and the class `i % 3`.
fn rows(count: usize) -> Rows {
    let values = (0..count).flat_map(|i| [i as f32, -(i as f32)]).collect();
    let labels = (0..count as u32).map(|i| i % 3).collect();
    Rows::new(RowShape::Features(2), values, labels, 3).unwrap()
}

/// The first feature of every row in a pass, with its class.
fn pass(loader: &dyn DataLoader<Batch>) -> Vec<Vec<(i64, i64)>> {
    let of = |batch: Batch| {
        let first: Vec<f32> =
            batch.inputs.features().slice([0..batch.samples.len(), 0..1]).into_data().iter().collect();
        let classes: Vec<i64> = batch.targets.into_data().iter().collect();
        first.into_iter().map(|x| x as i64).zip(classes).collect()
    };
    loader.iter().map(|batch| of(batch.unwrap())).collect()
}

#[test]
fn parts_are_disjoint_and_every_row_keeps_its_class() {
    let data = rows(20).split([0.25, 0.1], Seed::new(3)).unwrap();
    let device = Device::flex();
    let mut seen: Vec<i64> = Vec::new();
    for (split, count) in [(DataSplit::Train, 13), (DataSplit::Validation, 5), (DataSplit::Test, 2)] {
        assert_eq!(data.samples(split), count);
        for (row, class) in pass(data.eval_loader(split, 4, &device).unwrap().as_ref()).concat() {
            assert_eq!(class, row % 3);
            seen.push(row);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[test]
fn an_epoch_has_an_order_of_its_own_that_comes_again() {
    let data = rows(11).split([0.0, 0.0], Seed::new(1)).unwrap();
    let loader = |epoch| data.train_loader(4.into(), epoch, 2, &Device::flex()).unwrap();
    let running = loader(1);
    let [first, second] = [pass(running.as_ref()), pass(running.as_ref())];
    assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 3]);
    assert_ne!(first, second);
    // A run that resumes in the second epoch uses the same order.
    assert_eq!(pass(loader(2).as_ref()), second);
    let keys: Vec<_> = loader(2).iter().map(|batch| batch.unwrap().key).collect();
    assert_eq!(keys[1], BatchKey { epoch: 2, index: 1, step: 4 });
}

#[test]
fn what_is_no_table_is_refused() {
    let new = |values: Vec<f32>, labels: Vec<u32>| {
        Rows::new(RowShape::Features(2), values, labels, 2).map(drop).unwrap_err().to_string()
    };
    assert!(new(vec![0.0; 3], vec![0, 1]).contains("number of values is 3, but needs to be 4: 2 rows of 2"));
    assert!(new(vec![0.0, f32::NAN], vec![0]).contains("value 1 is NaN"));
    assert!(new(vec![0.0; 2], vec![2]).contains("label of row 0 is 2, but needs to be less than 2"));
    for fractions in [[0.5, 0.5], [-0.1, 0.0], [f64::NAN, 0.0]] {
        assert!(rows(9).split(fractions, Seed::new(0)).is_err(), "{fractions:?}");
    }
    assert!(rows(9).train_loader(0.into(), 1, 0, &Device::flex()).is_err());
}

/// Images of one row and two columns from tensors, with their own test set.
fn given() -> Rows {
    let device = Device::flex();
    let maps = |values: [[[[f32; 2]; 1]; 1]; 3]| Tensor::<4>::from_data(values, &device);
    let train = maps([[[[1.0, 2.0]]], [[[3.0, 4.0]]], [[[5.0, 6.0]]]]);
    let test = maps([[[[7.0, 8.0]]], [[[9.0, 10.0]]], [[[11.0, 12.0]]]]);
    let rows = |x, y: [i64; 3]| Rows::from_tensors(x, &Tensor::from_data(y, &device), 3).unwrap();
    rows(train, [0, 1, 2]).with_test(&rows(test, [2, 1, 0])).unwrap()
}

#[test]
fn a_test_part_of_its_own_stays_whole_however_the_rest_is_split() {
    let data = given();
    assert_eq!(data.input(), RowShape::Maps { channels: 1, height: 1, width: 2 });
    let device = Device::flex();
    let test = |data: &Rows| pass(data.eval_loader(DataSplit::Test, 4, &device).unwrap().as_ref()).concat();
    assert_eq!(test(&data), [(7, 2), (9, 1), (11, 0)]);
    let data = data.split([0.34, 0.0], Seed::new(0)).unwrap();
    assert_eq!((data.samples(DataSplit::Train), data.samples(DataSplit::Validation)), (2, 1));
    assert_eq!(test(&data), [(7, 2), (9, 1), (11, 0)]);
}

#[test]
fn tensors_that_do_not_belong_together_are_refused() {
    let device = Device::flex();
    let labels = |values: [i64; 2]| Tensor::<1, Int>::from_data(values, &device);
    let x = Tensor::<2>::zeros([2, 3], &device);
    let refused = |result: Result<Rows>| result.map(drop).unwrap_err().to_string();
    let message = refused(Rows::from_tensors(x.clone(), &labels([0, -1]), 3));
    assert!(message.contains("label of row 1 is -1"), "{message}");
    let message = refused(Rows::from_tensors(Tensor::<2>::zeros([3, 3], &device), &labels([0, 1]), 3));
    assert!(message.contains("number of values is 9, but needs to be 6"), "{message}");
    let narrow = Rows::from_tensors(x, &labels([0, 1]), 3).unwrap();
    let message = refused(given().with_test(&narrow));
    assert!(message.contains("rows of 3 in 3 classes, but needs to be rows of 1x1x2 in 3 classes"), "{message}");
}
