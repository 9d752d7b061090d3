//! The box on which an equation is to hold.

use ndarray::{Array1, Array2, ArrayView2};
use quadrat_core::{Error, Result, Rng};

/// A box: for each coordinate its name and its two ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    names: Vec<String>,
    low: Vec<f64>,
    high: Vec<f64>,
}

/// A face of a box: where coordinate `axis` has its lower or upper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// The coordinate, from 0.
    pub axis: usize,
    /// Whether it is at the upper end.
    pub upper: bool,
}

impl Domain {
    /// A box with these coordinates and ends.
    ///
    /// # Errors
    /// No coordinate, two of one name, an end that is not finite, a lower end that is not below the upper one.
    pub fn new(sides: &[(&str, f64, f64)]) -> Result<Self> {
        if sides.is_empty() {
            return Err(Error::input("domain", "no coordinate", "at least one, such as x = [0, 1]"));
        }
        for (i, (name, low, high)) in sides.iter().enumerate() {
            if !(low.is_finite() && high.is_finite() && low < high) {
                let want = "two finite numbers, the lower end first";
                return Err(Error::input(format!("domain of {name}"), format!("[{low}, {high}]"), want));
            }
            if sides[..i].iter().any(|(other, _, _)| other == name) {
                return Err(Error::input("domain", format!("`{name}` twice"), "names of coordinates must differ"));
            }
        }
        let names = sides.iter().map(|(name, _, _)| (*name).to_owned()).collect();
        let (low, high) = sides.iter().map(|(_, low, high)| (*low, *high)).unzip();
        Ok(Domain { names, low, high })
    }

    /// The cube \[−1, 1\]^d with coordinates x, y, z, or x1, x2, … beyond three.
    ///
    /// # Errors
    /// `d` of 0.
    pub fn cube(d: usize) -> Result<Self> {
        let names: Vec<String> = match d {
            1..=3 => ["x", "y", "z"][..d].iter().map(|name| (*name).to_owned()).collect(),
            _ => (1..=d).map(|i| format!("x{i}")).collect(),
        };
        Domain::new(&names.iter().map(|name| (name.as_str(), -1.0, 1.0)).collect::<Vec<_>>())
    }

    /// How many coordinates there are.
    pub fn dims(&self) -> usize {
        self.names.len()
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Their lower ends.
    pub fn low(&self) -> &[f64] {
        &self.low
    }

    /// Their upper ends.
    pub fn high(&self) -> &[f64] {
        &self.high
    }

    /// The middle of each coordinate, and half its length.
    pub(crate) fn middle(&self) -> (Vec<f64>, Vec<f64>) {
        let ends = || self.low.iter().zip(&self.high);
        (ends().map(|(low, high)| 0.5 * (low + high)).collect(), ends().map(|(low, high)| 0.5 * (high - low)).collect())
    }

    /// Points of the unit cube (rows) in their places in the box, never outside it.
    pub fn place(&self, unit: ArrayView2<f64>) -> Array2<f32> {
        Array2::from_shape_fn(unit.dim(), |(i, k)| {
            let (low, high) = (self.low[k], self.high[k]);
            ((low + unit[[i, k]] * (high - low)) as f32).clamp(low as f32, high as f32)
        })
    }

    /// `n` points drawn uniformly from the box.
    pub fn draw(&self, n: usize, rng: &mut Rng) -> Array2<f32> {
        let unit = Array2::from_shape_simple_fn((n, self.dims()), || rng.uniform());
        self.place(unit.view())
    }

    /// `n` points on some of its faces, each on a face of equal chance and uniform there, with the outward normals and the
    /// number of the face.
    pub fn draw_on(&self, faces: &[Face], n: usize, rng: &mut Rng) -> (Array2<f32>, Array2<f32>, Vec<usize>) {
        let mut x = self.draw(n, rng);
        let mut normals = Array2::zeros(x.dim());
        let on: Vec<usize> = (0..n).map(|_| rng.below(faces.len().max(1))).collect();
        for (i, face) in on.iter().enumerate() {
            let Face { axis, upper } = faces[*face];
            x[[i, axis]] = if upper { self.high[axis] } else { self.low[axis] } as f32;
            normals[[i, axis]] = if upper { 1.0 } else { -1.0 };
        }
        (x, normals, on)
    }

    /// All faces, the lower one of each coordinate first.
    pub fn faces(&self) -> Vec<Face> {
        (0..self.dims()).flat_map(|axis| [false, true].map(|upper| Face { axis, upper })).collect()
    }

    /// The points of a grid with `n` places along each coordinate, ends included, the last coordinate fastest. Beyond `along`
    /// coordinates the others stay in the middle.
    pub fn grid(&self, n: usize, along: usize) -> (Vec<Array1<f64>>, Array2<f32>) {
        let along = along.min(self.dims());
        let axes: Vec<Array1<f64>> =
            (0..along).map(|k| Array1::linspace(self.low[k], self.high[k], n.max(2))).collect();
        let n = n.max(2);
        let (middle, _) = self.middle();
        let points = Array2::from_shape_fn((n.pow(along as u32), self.dims()), |(i, k)| {
            let place = |k: usize| i / n.pow((along - 1 - k) as u32) % n;
            if k < along { axes[k][place(k)] as f32 } else { middle[k] as f32 }
        });
        (axes, points)
    }
}
