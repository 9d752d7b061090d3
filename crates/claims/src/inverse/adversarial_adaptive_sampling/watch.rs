//! What points do in the course of a run: a method that looks on.

use ndarray::{Array2, ArrayView2};
use quadrat_core::Result;
use quadrat_inverse::pde::{Collocation, Flow, Pde, Points, Residuals, Solution};
use quadrat_nn::Parameters;

/// A way to choose points, looked at every tenth of a run.
pub(super) struct Watched {
    inner: Box<dyn Collocation>,
    steps: usize,
    centre: [f32; 2],
    radius: f32,
    /// The tenth, how uneven the squared residual is on a grid, and how many points are near the centre, as a multiple of uniform
    /// ones.
    pub seen: Vec<(usize, f64, f64)>,
}

/// Places of the grid on [-1, 1]^2 along each coordinate.
const SIDE: usize = 96;

impl Watched {
    pub fn new(inner: Box<dyn Collocation>, steps: usize, centre: [f32; 2], radius: f32) -> Self {
        Watched { inner, steps, centre, radius, seen: Vec::new() }
    }

    fn near(&self, points: ArrayView2<f32>) -> f64 {
        let inside = |x: ndarray::ArrayView1<f32>| {
            x.iter().zip(&self.centre).map(|(x, c)| (x - c) * (x - c)).sum::<f32>() < self.radius * self.radius
        };
        let share = points.rows().into_iter().filter(|x| inside(*x)).count() as f64 / points.nrows() as f64;
        // The square has an area of 4.
        share / (std::f64::consts::PI * f64::from(self.radius).powi(2) / 4.0)
    }

    /// The same at the end.
    pub fn end(&self, solution: &Solution, pde: &dyn Pde) -> Result<(f64, f64)> {
        let squares = solution.squared_residuals(pde, grid().view())?;
        Ok((spread(&squares), self.near(solution.points.x.view())))
    }
}

fn grid() -> Array2<f32> {
    let place = |i: usize| (2.0 * (i as f64 + 0.5) / SIDE as f64 - 1.0) as f32;
    Array2::from_shape_fn((SIDE * SIDE, 2), |(i, k)| place(if k == 0 { i / SIDE } else { i % SIDE }))
}

/// Var(r²) / mean(r²)².
fn spread(squares: &[f64]) -> f64 {
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    squares.iter().map(|square| (square / mean - 1.0).powi(2)).sum::<f64>() / squares.len() as f64
}

impl Collocation for Watched {
    fn start(&mut self) -> Result<Points> {
        self.inner.start()
    }

    fn learn(&mut self, batch: &Points, squares: &[f64]) -> Result<()> {
        self.inner.learn(batch, squares)
    }

    fn next(&mut self, step: usize, points: Points, residuals: Residuals) -> Result<Points> {
        let tenth = 10 * step / self.steps;
        if tenth > 0 && tenth < 10 && self.seen.last().is_none_or(|(last, _, _)| *last < tenth) {
            self.seen.push((tenth, spread(&residuals(grid().view())?), self.near(points.x.view())));
        }
        self.inner.next(step, points, residuals)
    }

    fn density(&self) -> Option<(&Flow, &Parameters)> {
        self.inner.density()
    }

    fn effective(&self) -> Option<f64> {
        self.inner.effective()
    }
}
