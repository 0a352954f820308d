use super::*;
use crate::images::{ImageSet, PixelNormalisation, digits};
use burn_forward::activation::AnyActivation;
use burn_forward::data::LastBatch;
use proptest::prelude::*;

fn digits_part() -> ImageSubset {
    digits::parts().unwrap().0
}

fn unit(part: &ImageSubset) -> Arc<PixelNormaliser> {
    Arc::new(PixelNormaliser::new(&PixelNormalisation::default(), part).unwrap())
}

/// A training loader of the digits with every augmentation.
fn training(first_epoch: u64, workers: usize) -> ImageLoader {
    let part = digits_part();
    let augment = vec![Augment::Shift { pixels: 1 }, Augment::Flip {}, Augment::Cutout { size: 3 }];
    let training = TrainingOrder { seed: Seed::new(5), first_epoch, augment };
    ImageLoader::training(part.clone(), unit(&part), 100, &Device::default(), training).unwrap().with_workers(workers)
}

/// A pass, read back from the device: key, samples, targets, pixels.
type Read = (BatchKey, Vec<u32>, Vec<i64>, Vec<f32>);

fn pass(loader: &dyn DataLoader<Batch>) -> Vec<Read> {
    let read = |batch: Batch| {
        let AnyActivation::Maps(inputs) = batch.inputs else { panic!("images are maps") };
        assert_eq!(inputs.dims(), [batch.samples.len(), 1, 8, 8]);
        assert_eq!(batch.classes, 10);
        let targets = batch.targets.into_data().iter::<i64>().collect();
        (batch.key, batch.samples.to_vec(), targets, inputs.into_data().iter::<f32>().collect())
    };
    loader.iter().map(|batch| read(batch.unwrap())).collect()
}

fn order(pass: &[Read]) -> Vec<u32> {
    pass.iter().flat_map(|batch| batch.1.clone()).collect()
}

#[test]
fn every_epoch_is_another_permutation() {
    let loader = training(1, 1);
    let [first, second] = [pass(&loader), pass(&loader)];
    let all: Vec<u32> = (0..1438).collect();
    for (epoch, batches) in [(1, &first), (2, &second)] {
        let mut order = order(batches);
        assert_ne!(order, all);
        order.sort_unstable();
        assert_eq!(order, all);
        let keys: Vec<_> = batches.iter().map(|b| b.0).collect();
        assert_eq!(keys, (0..15).map(|index| BatchKey::new(epoch, index, 15)).collect::<Vec<_>>());
    }
    assert_ne!(order(&first), order(&second));
    assert_eq!(first.last().unwrap().1.len(), 38, "the smaller last batch is kept");
    let part = digits_part();
    assert!(first.iter().all(|(_, samples, targets, _)| {
        samples.iter().zip(targets).all(|(s, t)| part.label(*s as usize) as i64 == *t)
    }));
}

#[test]
fn workers_make_no_difference() {
    let [inline, one, three] = [0, 1, 3].map(|workers| {
        let loader = training(1, workers);
        [pass(&loader), pass(&loader)]
    });
    assert_eq!(inline, one);
    assert_eq!(inline, three);
}

#[test]
fn a_resumed_loader_goes_on_as_the_uninterrupted_one() {
    let whole = training(1, 1);
    let epochs = [pass(&whole), pass(&whole), pass(&whole)];
    assert_eq!(whole.next_epoch(), 4);
    assert_eq!(pass(&training(3, 1)), epochs[2]);
    // As in burn-train: moved once, then iterated.
    let moved = training(2, 1).to_device(&Device::default());
    assert_eq!([pass(&*moved), pass(&*moved)], epochs[1..]);
    // An interrupted pass counts as a pass.
    let loader = training(1, 1);
    assert!(loader.iter().next().is_some());
    assert_eq!(pass(&loader), epochs[1]);
}

#[test]
fn seeds_differ_in_order_and_augmentation() {
    let part = digits_part();
    let of = |seed| {
        let training =
            TrainingOrder { seed: Seed::new(seed), first_epoch: 1, augment: vec![Augment::Shift { pixels: 2 }] };
        ImageLoader::training(part.clone(), unit(&part), 1438, &Device::default(), training).unwrap()
    };
    let [a, b] = [of(1), of(2)].map(|loader| loader.host_batches(1).next().unwrap());
    assert_ne!(a.samples, b.samples);
    let plain = HostBatch::new(&part, &a.samples, &unit(&part)).unwrap();
    assert_eq!(plain.targets, a.targets);
    // One of the 25 shifts changes nothing.
    let same = plain.pixels.chunks(64).zip(a.pixels.chunks(64)).filter(|(p, q)| p == q).count();
    assert!((20..120).contains(&same), "{same} of 1438 images are unchanged; 58 are expected");
}

#[test]
fn steps_are_counted_over_epochs() {
    for batch_size in [1438, 800, 100] {
        let (part, first_epoch) = (digits_part(), 2);
        let training = TrainingOrder { seed: Seed::new(5), first_epoch, augment: Vec::new() };
        let loader =
            ImageLoader::training(part.clone(), unit(&part), batch_size, &Device::default(), training).unwrap();
        let batches = loader.num_batches() as u64;
        let steps: Vec<u64> = [pass(&loader), pass(&loader)].concat().iter().map(|batch| batch.0.step).collect();
        assert_eq!(steps, (batches..3 * batches).collect::<Vec<_>>(), "epochs 2 and 3 of {batches} batches");
        let half = loader.slice(0, 719);
        let steps: Vec<u64> = pass(half.as_ref()).iter().map(|batch| batch.0.step).collect();
        let batches = steps.len() as u64;
        assert_eq!(steps, (3 * batches..4 * batches).collect::<Vec<_>>(), "half of epoch 4");
    }
}

#[test]
fn evaluation_keeps_order_and_pixels() {
    let part = digits_part();
    let loader = ImageLoader::evaluation(part.clone(), unit(&part), 500, &Device::default()).unwrap();
    let [first, second] = [pass(&loader), pass(&loader)];
    assert_eq!(first, second);
    assert_eq!(order(&first), (0..1438).collect::<Vec<_>>());
    let keys: Vec<_> = first.iter().map(|b| b.0).collect();
    assert_eq!(keys, [0, 1, 2].map(|index| BatchKey { epoch: 0, index, step: index }));
    let expected: Vec<f32> = part.image(7).iter().map(|p| f32::from(*p) / 16.0).collect();
    assert_eq!(first[0].3[7 * 64..8 * 64], expected);
    let host: Vec<_> = loader.host_batches(0).flat_map(|b| b.pixels).collect();
    assert_eq!(host, first.into_iter().flat_map(|b| b.3).collect::<Vec<_>>());
}

#[test]
fn slices_share_the_images_out_and_draw_from_their_own_streams() {
    let whole = training(1, 1);
    let [left, right] = [whole.slice(0, 719), whole.slice(719, 1438)];
    assert_eq!((left.num_items(), right.num_items()), (719, 719));
    let [left, right] = [pass(&*left), pass(&*right)];
    let mut all = [order(&left), order(&right)].concat();
    assert!(order(&left).iter().all(|s| *s < 719));
    all.sort_unstable();
    assert_eq!(all, (0..1438).collect::<Vec<_>>());
    assert!(left.iter().all(|l| right.iter().all(|r| l.0 != r.0)));
    assert_eq!(whole.slice(1400, 9999).slice(30, 99).num_items(), 8);
    assert_eq!(whole.slice(9, 3).num_items(), 0);
    assert_eq!(whole.next_epoch(), 1);
}

#[test]
fn progress_counts_images() {
    let loader = training(1, 1);
    let mut batches = loader.iter();
    assert_eq!(batches.progress().items_processed, 0);
    batches.next();
    assert_eq!((batches.progress().items_processed, batches.progress().items_total), (100, 1438));
    batches.by_ref().for_each(drop);
    assert_eq!(batches.progress().items_processed, 1438);
    assert!(batches.next().is_none());
}

#[test]
fn a_dropped_last_batch_is_part_of_no_count() {
    let part = digits_part();
    let training = TrainingOrder { seed: Seed::new(5), first_epoch: 1, augment: vec![] };
    let batching = Batching { size: 100, last: LastBatch::Drop };
    let loader = ImageLoader::training(part.clone(), unit(&part), batching, &Device::default(), training).unwrap();
    assert_eq!((loader.num_batches(), loader.num_items()), (14, 1400));
    let left_out = || {
        let mut batches = loader.iter();
        let seen: Vec<u32> = batches.by_ref().flat_map(|b| b.unwrap().samples.to_vec()).collect();
        assert_eq!((batches.progress().items_processed, batches.progress().items_total), (1400, 1400));
        (0..1438).filter(|s| !seen.contains(s)).collect::<Vec<u32>>()
    };
    let (first, second) = (left_out(), left_out());
    assert_eq!((first.len(), second.len()), (38, 38));
    assert_ne!(first, second);
}

#[test]
fn an_empty_part_has_no_batches() {
    let part = ImageSubset::new(Arc::new(digits_part().set().clone()), vec![]).unwrap();
    let loader = ImageLoader::evaluation(part.clone(), unit(&part), 10, &Device::default()).unwrap();
    assert!(loader.iter().next().is_none());
    assert_eq!((loader.num_items(), loader.num_batches()), (0, 0));
}

#[test]
fn what_cannot_be_is_refused() {
    let part = digits_part();
    let new = |batch_size, first_epoch, augment| {
        let training = TrainingOrder { seed: Seed::new(0), first_epoch, augment };
        let loader = ImageLoader::training(part.clone(), unit(&part), batch_size, &Device::default(), training);
        loader.err().unwrap().to_string()
    };
    assert_eq!(new(0, 1, vec![]), "ImageLoader: batch size is 0, but needs to be at least 1");
    assert_eq!(new(1, 0, vec![]), "ImageLoader: first epoch is 0, but needs to be at least 1");
    assert_eq!(
        new(1, 1, vec![Augment::Cutout { size: 9 }]),
        "ImageLoader, augment: size is 9, but needs to be from 1 to 8 for images of 8x8"
    );
    assert_eq!(
        HostBatch::new(&part, &[0, 1438], &unit(&part)).unwrap_err().to_string(),
        "HostBatch: a sample is 1438, but needs to be less than 1438, the number of images in the split"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the sizes, a pass contains all images once, in batches of the requested size except for the last. If the last
    /// batch is dropped, the images that do not fill a batch are missing, different ones in every epoch.
    #[test]
    fn a_pass_is_complete(
        images in 0usize..40, batch_size in 1usize..50, workers in 0usize..5, seed: u64, drop: bool,
    ) {
        let set = ImageSet::new(vec![0; images], vec![0; images], [1, 1, 1], 1, 255.0).unwrap();
        let part = ImageSubset::whole(set);
        let training = TrainingOrder { seed: Seed::new(seed), first_epoch: 1, augment: vec![] };
        let batching = Batching { size: batch_size, last: if drop { LastBatch::Drop } else { LastBatch::Keep } };
        let loader = ImageLoader::training(part.clone(), unit(&part), batching, &Device::default(), training).unwrap();
        let loader = loader.with_workers(workers);
        let batches: Vec<_> = loader.iter().map(|b| b.unwrap().samples).collect();
        prop_assert_eq!(batches.len(), loader.num_batches());
        prop_assert!(batches.iter().rev().skip(usize::from(!drop)).all(|b| b.len() == batch_size));
        let mut samples = batches.concat();
        prop_assert_eq!(samples.len(), loader.num_items());
        samples.sort_unstable();
        samples.dedup();
        let all = if drop { images / batch_size * batch_size } else { images };
        prop_assert_eq!(samples.len(), all, "no image twice");
        prop_assert!(samples.iter().all(|s| (*s as usize) < images));
        // Slices divide all images among them, including those after the last full batch of the whole.
        let middle = loader.num_items() / 2;
        let slices = [loader.slice(0, middle), loader.slice(middle, loader.num_items())];
        let sliced: usize = slices.iter().map(|slice| slice.num_items()).sum();
        let lost = if drop { 2 * batch_size } else { 1 };
        prop_assert!(sliced <= images && images - sliced < lost, "{} of {}", sliced, images);
    }
}

/// Loading must never delay a step. The limit is generous, since test machines are busy.
#[test]
fn an_epoch_of_mnist_size_loads_fast() {
    let pixels = (0..54_000 * 784).map(|i: u32| (i % 251) as u8).collect();
    let part = ImageSubset::whole(ImageSet::new(pixels, vec![0; 54_000], [1, 28, 28], 10, 255.0).unwrap());
    for augment in [vec![], vec![Augment::Shift { pixels: 2 }]] {
        let training = TrainingOrder { seed: Seed::new(0), first_epoch: 1, augment: augment.clone() };
        let loader = ImageLoader::training(part.clone(), unit(&part), 128, &Device::default(), training).unwrap();
        let start = std::time::Instant::now();
        let images: usize = loader.iter().map(|batch| batch.unwrap().samples.len()).sum();
        let seconds = start.elapsed().as_secs_f64();
        println!("54,000 x 784, batch 128, one worker, {augment:?}: {seconds:.3} s");
        assert_eq!(images, 54_000);
        assert!(seconds < 10.0, "{seconds} s");
    }
}
