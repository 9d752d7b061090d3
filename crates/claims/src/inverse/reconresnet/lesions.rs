//! Lesions that nobody has learnt: are they still there, and are there others?

use super::Method;
use super::brains::{SIDE, Slice, means};
use super::measured::Measured;
use ndarray::Array2;
use quadrat_core::{Result, Rng, Seed};

pub(super) const KEPT: &str = "share of a lesion's contrast";
pub(super) const FALSE: &str = "share of places with a false lesion";
/// Places of each slice that are looked at for false lesions.
const PLACES: usize = 20;
/// Contrast at which a place counts as a lesion.
const SEEN: f64 = 0.2;

/// A dark spot: what brightness is multiplied with is 1 less `depth` times a bell.
struct Spot {
    middle: [f64; 2],
    width: f64,
    depth: f64,
}

impl Spot {
    /// Somewhere bright in the brain, as deep as 20 to 60%.
    fn drawn(slice: &Slice, rng: &mut Rng) -> Spot {
        let bright: Vec<(usize, usize)> =
            slice.image.indexed_iter().filter(|(_, v)| **v > 0.5).map(|(place, _)| place).collect();
        // There is always something bright in a brain.
        let (i, j) = bright.get(rng.below(bright.len())).copied().unwrap_or((SIDE / 2, SIDE / 2));
        let [width, depth] = [1.5 + 1.5 * rng.uniform(), 0.2 + 0.4 * rng.uniform()];
        Spot { middle: [i as f64, j as f64], width, depth }
    }

    fn bell(&self, (i, j): (usize, usize)) -> f64 {
        let (y, x) = (i as f64 - self.middle[0], j as f64 - self.middle[1]);
        (-0.5 * (y * y + x * x) / (self.width * self.width)).exp()
    }

    /// How deep a change of `truth` to `image` is here, as the share of brightness that fits the bell best.
    fn depth_of(&self, truth: &Array2<f32>, image: &Array2<f32>) -> f64 {
        let (mut along, mut square) = (0.0, 0.0);
        for (place, v) in truth.indexed_iter() {
            let spot = self.bell(place) * f64::from(*v);
            along += spot * f64::from(v - image[place]);
            square += spot * spot;
        }
        along / square
    }
}

/// The share of a lesion's contrast that is kept, and the share of healthy places that look like lesions.
pub(super) fn figures(
    slices: &[Slice],
    ops: &[Measured],
    method: &Method,
    seed: Seed,
) -> Result<Vec<(&'static str, f64)>> {
    let of = |i: usize, slice: &Slice| {
        let op = &ops[i % ops.len()];
        // The same lesions for all arms.
        let mut rng = seed.rng(i as u64);
        let spot = Spot::drawn(slice, &mut rng);
        let mut ill = slice.image.clone();
        ill.indexed_iter_mut().for_each(|(place, v)| *v *= (1.0 - spot.depth * spot.bell(place)) as f32);
        let image = |truth: &Array2<f32>| method(op.acquisition(), &op.measure(truth)?);
        let (healthy, found) = (image(&slice.image)?, image(&ill)?);
        // What the lesion changed, on top of what is wrong without it.
        let changed = &slice.image - &healthy + &found;
        let kept = spot.depth_of(&slice.image, &changed) / spot.depth;
        let wrong =
            (0..PLACES).filter(|_| Spot::drawn(slice, &mut rng).depth_of(&slice.image, &healthy) > SEEN).count();
        Ok([(KEPT, kept), (FALSE, wrong as f64 / PLACES as f64)])
    };
    means(slices, of)
}
