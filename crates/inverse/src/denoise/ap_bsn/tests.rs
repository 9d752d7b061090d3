use super::super::dbsn::Dbsn;
use super::*;
use proptest::prelude::*;
use quadrat_core::Silent;

proptest! {
    #[test]
    fn a_mosaic_is_taken_apart_again_to_the_bit(stride in 1usize..6, down in 1usize..5, across in 1usize..5) {
        let (h, w) = (stride * down, stride * across);
        let image = Array3::from_shape_fn((2, h, w), |(c, y, x)| (1 + (c * h + y) * w + x) as f32);
        let mut whole = mosaic(image.view(), stride);
        let gap = if stride == 1 { 0 } else { 2 * GAP * stride };
        prop_assert_eq!(whole.dim(), (2, h + gap, w + gap));
        // All else is zero.
        prop_assert_eq!(whole.iter().filter(|v| **v > 0.0).count(), image.len());
        prop_assert_eq!(unmosaic(&mut whole, stride), image);
    }
}

/// Without a value replaced, R³ is one more look at the first answer; with all replaced, one at the noisy picture.
#[test]
fn refinement_replaces_the_share_it_says() {
    let net = Dbsn { channels: 1, base: 16, modules: 1 };
    let denoiser = Denoiser::new(net, net.fresh(Seed(1)).unwrap(), Way::Whole).unwrap();
    let picture = |k: f32| Array3::from_shape_fn((1, 9, 8), |(_, y, x)| 0.5 + 0.4 * (k * (8 * y + x) as f32).sin());
    let (noisy, first) = (picture(3.0), picture(0.1));
    let refined = |times, replaced| {
        let refine = Refine { times, replaced };
        averaged(&denoiser, noisy.view(), first.clone(), refine, Seed(2), &Silent).unwrap()
    };
    let once = |image: &Array3<f32>| {
        let wider = denoiser.answer(padded(image.view(), [GAP; 4]), &Silent).unwrap();
        wider.slice(s![.., 2..11, 2..10]).to_owned()
    };
    let close = |a: Array3<f32>, b: Array3<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert_eq!(refined(0, 0.5), first);
    assert!(close(refined(3, 0.0), once(&first)));
    assert!(close(refined(3, 1.0), once(&noisy)));
    assert!(!close(refined(1, 0.5), refined(2, 0.5)));
}
