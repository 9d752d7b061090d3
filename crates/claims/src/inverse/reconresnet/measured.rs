//! What is measured: lines, points or spokes of k-space.

use super::brains::SIDE;
use ndarray::Array2;
use quadrat_core::{Result, Seed};
use quadrat_inverse::masks::{self, radial_golden, usual_centre, varden1d, varden2d};
use quadrat_inverse::reconresnet::{Acquisition, Cartesian, Radial};
use quadrat_inverse::{Complex, Encoding, Gridding, Nufft};

/// A way to leave samples out.
#[derive(Debug)]
pub(super) struct Pattern {
    pub name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A share of the lines.
    Lines(f64),
    /// A share of the points.
    Points(f64),
    /// Spokes of twice as many points as pixels.
    Spokes(usize),
}

/// Spokes of a full set, as many to a pixel as the paper's 512 for 256.
const FULL: usize = 2 * SIDE;

/// Accelerations 6.7, 3.3 and 10, and as the paper's 60 spokes of 512.
pub(super) static PATTERNS: [Pattern; 4] = [
    Pattern { name: "15% of lines", kind: Kind::Lines(0.15) },
    Pattern { name: "30% of lines", kind: Kind::Lines(0.3) },
    Pattern { name: "10% of points", kind: Kind::Points(0.1) },
    Pattern { name: "15 spokes", kind: Kind::Spokes(15) },
];

/// Masks of a kind in a repetition: one for each slice of the test, since the masks make most of the difference between repetitions.
const DRAWN: u64 = 12;

/// A drawn mask, or spokes: what reconstructs, and, for spokes, a finer transform that measures.
pub(super) struct Measured {
    op: Box<dyn Acquisition + Send>,
    finer: Option<Nufft<f32>>,
}

impl Pattern {
    /// [`DRAWN`] masks, or the spokes, which are always the same.
    pub fn acquisitions(&self, seed: Seed) -> Result<Vec<Measured>> {
        let shape = [SIDE; 2];
        let drawn = |mask: &dyn Fn(Seed) -> Result<masks::Pattern>| -> Result<Vec<Measured>> {
            let one = |i: u64| -> Result<Measured> {
                let op = Cartesian::new(&mask(seed.stream(&i.to_string()))?)?;
                Ok(Measured { op: Box::new(op), finer: None })
            };
            (0..DRAWN).map(one).collect()
        };
        match self.kind {
            Kind::Lines(share) => drawn(&|seed| varden1d(shape, share, usual_centre(share), seed)),
            Kind::Points(share) => drawn(&|seed| varden2d(shape, share, usual_centre(share), seed)),
            Kind::Spokes(spokes) => {
                let points = radial_golden(shape, spokes)?;
                let finer = Nufft::new(&shape, points.view(), Gridding { width: 8, ..Gridding::for_tolerance(1e-6)? })?;
                Ok(vec![Measured { op: Box::new(Radial::golden(shape, spokes, FULL)?), finer: Some(finer) }])
            }
        }
    }
}

impl Measured {
    /// What reconstructs.
    pub fn acquisition(&self) -> &dyn Acquisition {
        &*self.op
    }

    /// The samples of an image.
    pub fn measure(&self, image: &Array2<f32>) -> Result<Vec<Complex<f32>>> {
        let Some(finer) = &self.finer else { return self.op.measure(image.view()) };
        let pixels: Vec<Complex<f32>> = image.iter().map(|v| Complex::new(*v, 0.0)).collect();
        let mut samples = vec![Complex::new(0.0, 0.0); finer.samples()];
        finer.forward(&pixels, &mut samples)?;
        Ok(samples)
    }
}
