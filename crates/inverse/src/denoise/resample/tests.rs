use super::*;
use proptest::prelude::*;
use quadrat_core::{Rng, Seed};

fn numbered(c: usize, h: usize, w: usize) -> Array3<f32> {
    Array3::from_shape_fn((c, h, w), |(c, y, x)| ((c * h + y) * w + x) as f32)
}

proptest! {
    /// Every pixel of every channel is in one sub-image, and merging brings it back to the bit; each sub-image has one pixel of
    /// every cell, the same in all channels.
    #[test]
    fn sub_images_are_a_partition(p in 1usize..6, down in 1usize..5, across in 1usize..5, seed: u64) {
        let image = numbered(3, p * down, p * across);
        let mut rng = Seed(seed).rng(0);
        let kinds: [&dyn Resampler2d; 2] = [&PixelShuffle { factor: p }, &RandomSubSamples { stride: p }];
        for kind in kinds {
            let places = kind.places([p * down, p * across], &mut rng).unwrap();
            let parts = places.split(image.view());
            prop_assert_eq!((parts.len(), places.len(), places.size()), (p * p, p * p, [down, across]));
            prop_assert_eq!(&places.merge(&parts).unwrap(), &image);
            let mut seen: Vec<u32> = places.all().iter().copied().collect();
            seen.sort_unstable();
            prop_assert!(seen.iter().copied().eq(0..(p * p * down * across) as u32));
            for part in &parts {
                for ((c, y, x), v) in part.indexed_iter() {
                    let pixel = *v as usize % (p * p * down * across);
                    let (row, column) = (pixel / (p * across), pixel % (p * across));
                    prop_assert_eq!((row / p, column / p), (y, x));
                    prop_assert_eq!(*v as usize, pixel + c * p * p * down * across);
                }
            }
        }
    }

    #[test]
    fn neighbours_are_neighbours(down in 1usize..6, across in 1usize..6, seed: u64) {
        let places = Neighbor2Neighbor.places([2 * down, 2 * across], &mut Seed(seed).rng(0)).unwrap();
        let parts = places.split(numbered(1, 2 * down, 2 * across).view());
        prop_assert_eq!(parts.len(), 2);
        for (a, b) in parts[0].iter().zip(&parts[1]) {
            let [a, b] = [a, b].map(|v| (*v as usize / (2 * across), *v as usize % (2 * across)));
            prop_assert_eq!((a.0 / 2, a.1 / 2), (b.0 / 2, b.1 / 2));
            prop_assert_eq!(a.0.abs_diff(b.0) + a.1.abs_diff(b.1), 1);
        }
    }
}

/// Each place of a cell is as likely in every sub-image, and the pairs of neighbours are as likely: 99.9% of honest runs pass each
/// (chi-square with 24 and 7 degrees of freedom below 51.18 and 24.32); the seeds are not chosen.
#[test]
fn places_are_uniform() {
    let (p, side) = (5, 500);
    let places = RandomSubSamples { stride: p }.places([side, side], &mut Seed(11).rng(0)).unwrap();
    for j in [0, 7, 24] {
        let mut counts = [0.0_f64; 25];
        for place in places.all().row(j) {
            counts[(*place as usize / side % p) * p + *place as usize % p] += 1.0;
        }
        let wanted = (side / p * side / p) as f64 / 25.0;
        let found: f64 = counts.iter().map(|n| (n - wanted).powi(2) / wanted).sum();
        assert!(found < 51.18, "{found}");
    }
    let places = Neighbor2Neighbor.places([200, 200], &mut Seed(12).rng(0)).unwrap();
    let mut counts = [[0.0_f64; 4]; 4];
    for (a, b) in places.all().row(0).iter().zip(places.all().row(1)) {
        let [a, b] = [a, b].map(|v| (*v as usize / 200 % 2) * 2 + *v as usize % 2);
        counts[a][b] += 1.0;
    }
    let met: Vec<f64> = counts.iter().flatten().copied().filter(|n| *n > 0.0).collect();
    assert_eq!(met.len(), 8);
    let found: f64 = met.iter().map(|n| (n - 1250.0).powi(2) / 1250.0).sum();
    assert!(found < 24.32, "{found}");
}

#[test]
fn sizes_that_do_not_divide_are_refused_with_the_nearest() {
    let mut rng = Seed(0).rng(0);
    let error = |kind: &dyn Resampler2d, size, rng: &mut Rng| kind.places(size, rng).unwrap_err().to_string();
    assert!(error(&RandomSubSamples { stride: 5 }, [10, 38], &mut rng).contains("the nearest is 40"));
    assert!(error(&PixelShuffle { factor: 0 }, [10, 10], &mut rng).contains("stride"));
    assert!(error(&Neighbor2Neighbor, [0, 2], &mut rng).contains("the nearest is 2"));
    let places = PixelShuffle { factor: 2 }.places([4, 4], &mut rng).unwrap();
    assert!(places.merge(&[numbered(1, 2, 2)]).is_err());
    assert!(places.merge(&vec![numbered(1, 3, 2); 4]).is_err());
    assert!(!places.is_empty());
}
