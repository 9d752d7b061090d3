//! Which unit the coordinates of a trajectory are in.
//!
//! Programs disagree: SigPy and BART count cycles per field of view (-N/2 to N/2), FINUFFT and torchkbnufft radians per pixel (-π to π),
//! others cycles per pixel (-0.5 to 0.5).

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Choice, Error, Result};

/// A unit of coordinates in k-space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Units {
    /// Cycles per field of view, -N/2 to N/2.
    #[param(name = "cycles")]
    CyclesPerField,
    /// Cycles per pixel, -0.5 to 0.5.
    #[param(name = "pixels")]
    CyclesPerPixel,
    /// Radians per pixel, -π to π.
    Radians,
}

impl Units {
    /// The unit that coordinates (points x axes) of images of a shape seem to be in: the one whose range their largest modulus fills best
    /// without leaving it. Trajectories that cover only the middle of k-space may be taken for the wrong one.
    ///
    /// # Errors
    /// Another number of axes, coordinates that are not finite or outside every range.
    pub fn guess(shape: &[usize], coordinates: ArrayView2<f64>) -> Result<Units> {
        check(shape, coordinates)?;
        let most = coordinates.iter().fold(0.0_f64, |most, k| most.max(k.abs()));
        // Rounding of single precision at the end of a range.
        let within = |range: f64| most <= range * (1.0 + 1e-5);
        let by_axis = |axis: usize| coordinates.column(axis).iter().fold(0.0_f64, |most, k| most.max(k.abs()));
        let fills = |axis: usize| by_axis(axis) <= shape[axis] as f64 / 2.0 * (1.0 + 1e-5);
        match () {
            () if within(0.5) => Ok(Units::CyclesPerPixel),
            // A half of π is more than these coordinates, or π is a good part of N/2: no radians.
            () if within(std::f64::consts::PI) && most > 1.6 && shape.iter().all(|side| *side > 12) => {
                Ok(Units::Radians)
            }
            () if (0..shape.len()).all(fills) => Ok(Units::CyclesPerField),
            () => {
                let half: Vec<String> = shape.iter().map(|side| format!("{}", *side as f64 / 2.0)).collect();
                let want = format!(
                    "at most 0.5 (cycles per pixel), 3.1416 (radians per pixel) or {} (cycles per field of view) along the axes of an \
                     image of shape {shape:?}; is the shape right, and its first axis first in the trajectory?",
                    half.join(", ")
                );
                Err(Error::input("trajectory", format!("coordinates up to {most}"), want))
            }
        }
    }

    /// Coordinates of this unit in cycles per field of view; those a rounding outside the range are put on its end.
    ///
    /// # Errors
    /// Another number of axes, coordinates that are not finite.
    pub fn to_cycles(self, shape: &[usize], coordinates: ArrayView2<f64>) -> Result<Array2<f64>> {
        check(shape, coordinates)?;
        Ok(Array2::from_shape_fn(coordinates.dim(), |(point, axis)| {
            let side = shape[axis] as f64;
            let unit = match self {
                Units::CyclesPerField => 1.0,
                Units::CyclesPerPixel => side,
                Units::Radians => side / std::f64::consts::TAU,
            };
            let (k, half) = (coordinates[[point, axis]] * unit, side / 2.0);
            if k.abs() <= half * (1.0 + 1e-5) { k.clamp(-half, half) } else { k }
        }))
    }
}

fn check(shape: &[usize], coordinates: ArrayView2<f64>) -> Result<()> {
    let (points, axes) = coordinates.dim();
    if axes != shape.len() || points == 0 {
        let want = format!("points x {}, for images of shape {shape:?}", shape.len());
        return Err(Error::input("trajectory", format!("{points} x {axes} numbers"), want));
    }
    match coordinates.indexed_iter().find(|(_, k)| !k.is_finite()) {
        None => Ok(()),
        Some(((point, axis), k)) => {
            Err(Error::input(format!("trajectory, point {point}, axis {axis}"), k, "a finite coordinate"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::radial_golden;
    use ndarray::array;

    #[test]
    fn units_are_found_and_turned_into_cycles() {
        let shape = [64, 48];
        let cycles = radial_golden(shape, 13).unwrap();
        let per = |unit: f64| Array2::from_shape_fn(cycles.dim(), |(i, a)| cycles[[i, a]] / shape[a] as f64 * unit);
        let tau = std::f64::consts::TAU;
        for (given, units) in [
            (cycles.clone(), Units::CyclesPerField),
            (per(1.0), Units::CyclesPerPixel),
            (per(tau), Units::Radians),
            (per(tau).mapv(|k| f64::from(k as f32)), Units::Radians),
        ] {
            assert_eq!(Units::guess(&shape, given.view()).unwrap(), units);
            let back = units.to_cycles(&shape, given.view()).unwrap();
            assert!((&back - &cycles).iter().all(|off| off.abs() < 1e-5));
            assert!(crate::nufft::check(&shape, back.view()).is_ok());
        }
    }

    #[test]
    fn what_fits_no_unit_is_refused() {
        let refused = |k: Array2<f64>| Units::guess(&[16, 16], k.view()).unwrap_err().to_string();
        assert!(refused(array![[9.0, 0.0]]).contains("up to 9; at most 0.5 (cycles per pixel), 3.1416"));
        assert!(refused(array![[0.0, 0.1], [f64::NAN, 0.0]]).contains("point 1, axis 0"));
        assert!(refused(array![[0.0, 0.1, 0.2]]).contains("points x 2"));
    }
}
