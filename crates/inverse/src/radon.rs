//! Sums along parallel lines through an image (Radon transform), as scikit-image defines them.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_numeric::operator::LinearOp;

/// Projections of images of side x side real numbers: angles x side sums, one for each column of the image turned by the angle about pixel
/// side/2. Values between pixels are bilinear, and 0 outside; the adjoint is exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Radon {
    side: usize,
    /// Sine and cosine of each angle.
    angles: Vec<(f64, f64)>,
}

impl Radon {
    /// For angles in degrees. Angle 0 sums each column.
    ///
    /// # Errors
    /// A side of 0, no angle, one that is not finite.
    pub fn new(side: usize, degrees: &[f64]) -> Result<Self> {
        if side == 0 || degrees.is_empty() || degrees.iter().any(|angle| !angle.is_finite()) {
            let got = format!("side {side}, {} angles", degrees.len());
            return Err(Error::input(
                "Radon transform",
                got,
                "a side of at least 1 and at least one angle, all finite",
            ));
        }
        Ok(Radon { side, angles: degrees.iter().map(|angle| angle.to_radians().sin_cos()).collect() })
    }

    /// Calls `each` with (place in the sums, place in the image, weight) of everything that is not 0.
    fn terms(&self, mut each: impl FnMut(usize, usize, f64)) {
        let side = self.side as i64;
        let centre = (self.side / 2) as f64;
        for (number, (sine, cosine)) in self.angles.iter().enumerate() {
            for (row, column) in (0..self.side).flat_map(|row| (0..self.side).map(move |column| (row, column))) {
                let (down, right) = (row as f64 - centre, column as f64 - centre);
                let x = cosine * right + sine * down + centre;
                let y = cosine * down - sine * right + centre;
                let (left, top) = (x.floor(), y.floor());
                for (i, j, weight) in [
                    (0, 0, (1.0 - (x - left)) * (1.0 - (y - top))),
                    (0, 1, (x - left) * (1.0 - (y - top))),
                    (1, 0, (1.0 - (x - left)) * (y - top)),
                    (1, 1, (x - left) * (y - top)),
                ] {
                    let (i, j) = (top as i64 + i, left as i64 + j);
                    if (0..side).contains(&i) && (0..side).contains(&j) && weight > 0.0 {
                        each(number * self.side + column, (i * side + j) as usize, weight);
                    }
                }
            }
        }
    }

    fn check(&self, rows: ArrayView2<f64>, width: usize) -> Result<()> {
        if rows.ncols() != width {
            let want = format!("rows of {width}, for side {} and {} angles", self.side, self.angles.len());
            return Err(Error::input("Radon transform", format!("rows of {} numbers", rows.ncols()), want));
        }
        Ok(())
    }
}

impl LinearOp for Radon {
    fn inputs(&self) -> usize {
        self.side * self.side
    }

    fn outputs(&self) -> usize {
        self.angles.len() * self.side
    }

    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(x, self.inputs())?;
        let mut y = Array2::zeros((x.nrows(), self.outputs()));
        self.terms(|sum, pixel, weight| (0..x.nrows()).for_each(|row| y[[row, sum]] += weight * x[[row, pixel]]));
        Ok(y)
    }

    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(y, self.outputs())?;
        let mut x = Array2::zeros((y.nrows(), self.inputs()));
        self.terms(|sum, pixel, weight| (0..y.nrows()).for_each(|row| x[[row, pixel]] += weight * y[[row, sum]]));
        Ok(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_numeric::operator::check_operator;

    /// scikit-image 0.26.0, `radon`: a block of ones in rows 4 to 7 and columns 6 to 10 of 16 x 16.
    #[test]
    fn a_block_has_the_sums_of_scikit_image() {
        let block = Array2::from_shape_fn((1, 256), |(_, place)| {
            f64::from(u8::from((4..8).contains(&(place / 16)) && (6..11).contains(&(place % 16))))
        });
        let sums = Radon::new(16, &[0.0, 90.0]).unwrap().forward(block.view()).unwrap();
        for column in 0..16 {
            let (down, across) = (sums[[0, column]], sums[[0, 16 + column]]);
            assert!((down - if (6..11).contains(&column) { 4.0 } else { 0.0 }).abs() < 1e-9, "{column}: {down}");
            assert!((across - if (9..13).contains(&column) { 5.0 } else { 0.0 }).abs() < 1e-9, "{column}: {across}");
        }
    }

    #[test]
    fn the_adjoint_is_exact_and_sums_keep_the_mass() {
        for side in [1, 7, 16] {
            check_operator(&Radon::new(side, &[0.0, 17.0, 45.0, 90.0, 133.3]).unwrap()).unwrap();
        }
        // A spot in the middle is met by all angles alike.
        let radon = Radon::new(25, &[0.0, 30.0, 45.0]).unwrap();
        let spot = Array2::from_shape_fn((1, 625), |(_, place)| {
            let (i, j) = ((place / 25) as f64 - 12.0, (place % 25) as f64 - 12.0);
            (-(i * i + j * j) / 9.0).exp()
        });
        let sums = radon.forward(spot.view()).unwrap();
        let whole: f64 = spot.iter().sum();
        for angle in 0..3 {
            let got: f64 = (0..25).map(|column| sums[[0, angle * 25 + column]]).sum();
            assert!((got / whole - 1.0).abs() < 0.01, "{got} {whole}");
        }
    }

    #[test]
    fn wrong_input_is_refused() {
        assert!(Radon::new(0, &[1.0]).is_err());
        assert!(Radon::new(4, &[]).is_err());
        assert!(Radon::new(4, &[f64::NAN]).is_err());
        assert!(Radon::new(4, &[0.0]).unwrap().forward(Array2::zeros((1, 15)).view()).is_err());
    }
}
