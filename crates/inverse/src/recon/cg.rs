//! Least squares by conjugate gradients.

use super::{Reconstructor, Start, dot, square};
use crate::{Encoding, Real};
use quadrat_core::{Area, Card, Method, Progress, Result, Settings, checkpoint};
use rustfft::num_complex::Complex;

/// min |A x - y|² + λ |x|² by conjugate gradients from 0. Few rounds leave out what the samples say little about.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct CgSense {
    /// Rounds.
    #[param(default = 20, from = 1)]
    pub iterations: usize,
    /// Weight of the image's own size, as a share of what the encoding makes of the adjoint's image.
    #[param(default = 0.0, from = 0)]
    pub l2: f64,
}

impl Method for CgSense {
    const CARD: Card = Card {
        slug: "cg-sense",
        aliases: &["cg", "sense", "least-squares"],
        title: "Least squares by conjugate gradients (CG-SENSE)",
        paper: "Pruessmann, Weiger, Boernert, Boesiger: Advances in sensitivity encoding with arbitrary k-space trajectories. Magnetic \
                Resonance in Medicine 46, 2001",
        area: Area::Inverse,
        verbs: &["reconstruct"],
        summary: "The image whose samples come nearest to those that were measured, of one coil or of several with known sensitivities, on \
                  any trajectory.",
        useful_when: "parallel imaging with coil sensitivities, non-Cartesian MRI, least squares reconstruction of radial or spiral data",
        cost: "one normal operator a round (two fast transforms of twice the sides for a trajectory); memory five images a coil",
        params: Self::PARAMS,
    };
}

impl<T: Real> Reconstructor<T> for CgSense {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reconstruct(
        &self,
        samples: &[Complex<T>],
        op: &dyn Encoding<T>,
        progress: &dyn Progress,
    ) -> Result<Vec<Complex<T>>> {
        let Start { image: mut left, gain, .. } = Start::of(samples, op)?;
        let l2 = T::of(self.l2) * gain;
        let mut image = vec![Complex::new(T::zero(), T::zero()); op.pixels()];
        let mut towards = left.clone();
        let mut through = left.clone();
        let mut size = square(&left);
        let enough = f64::from(f32::EPSILON).powi(2) * size;
        progress.begin("cg-sense", Some(self.iterations as u64));
        for _ in 0..self.iterations {
            checkpoint(progress)?;
            if size <= enough {
                break;
            }
            op.normal(&towards, &mut through)?;
            through.iter_mut().zip(&towards).for_each(|(t, v)| *t = *t + v.scale(l2));
            let step = T::of(size / dot(&towards, &through));
            image.iter_mut().zip(&towards).for_each(|(x, v)| *x = *x + v.scale(step));
            left.iter_mut().zip(&through).for_each(|(r, t)| *r = *r - t.scale(step));
            let next = square(&left);
            let kept = T::of(next / size);
            towards.iter_mut().zip(&left).for_each(|(v, r)| *v = *r + v.scale(kept));
            size = next;
            progress.advance(1);
        }
        Ok(image)
    }
}
