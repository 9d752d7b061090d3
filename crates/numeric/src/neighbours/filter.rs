//! Rows made fit for products in low precision, which prove that most pairs are too far apart.

use super::{Real, SMALLEST};
use crate::points::RowMajor;
use crate::prepare;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// How rows are made fit for products in low precision.
pub(super) struct Filter {
    pub centre: Vec<f64>,
    pub scale: Scale,
}

pub(super) enum Scale {
    /// A power of two that brings all values into -1..1.
    Power(f64),
    /// Each row to length 1.
    UnitLength,
}

impl Filter {
    /// For Euclidean distances: centred at the base's mean, scaled into -1..1.
    pub fn of<T: Real>(base: ArrayView2<T>, queries: ArrayView2<T>) -> Filter {
        let centre = prepare::column_means(base);
        let largest = prepare::largest(base, &centre).max(prepare::largest(queries, &centre));
        // Smaller rows are all 0 to the filter, and measured: the square of a larger scale would overflow.
        Filter { centre, scale: Scale::Power(prepare::scale_to_one(largest.max(SMALLEST))) }
    }

    /// The row as the filter sees it, rounded, into `to`; returns its lowered squared length.
    ///
    /// Let x, y be two true rows (centred, scaled), X, Y what is stored of them in precision P with unit u, and v = 2^-53
    /// the unit of double precision, in which they are placed. Placing is off by at most (d / 2 + 5) v and storing by
    /// u, as shares of |x|, so |X - Y|^2 differs from |x - y|^2 by at most 4.1 (u + (d / 2 + 5) v) (|x|^2 + |y|^2). The
    /// product of d + 1 terms is off by at most 1.01 (d + 1) u (2 |X||Y| + |Y|^2) in whatever order it is added up, so
    /// by 2.1 (d + 1) u (|x|^2 + |y|^2); the squared lengths by (d + 3) v and one u. Together that is less than
    /// ((2.5 d + 32) u + (3.5 d + 32) v) (|x|^2 + |y|^2), gradual underflow apart. Lowering both squared lengths by that
    /// share makes |X|^2 + |Y|^2 - 2 X.Y, as computed, a lower bound of |x - y|^2.
    pub fn place<T: Real, P: Real>(&self, row: &[T], to: &mut [P]) -> f64 {
        let scale = match self.scale {
            Scale::Power(scale) => scale,
            Scale::UnitLength => {
                let length = row.iter().map(|v| (*v).into().powi(2)).sum::<f64>().sqrt();
                if length > 0.0 { 1.0 / length } else { 0.0 }
            }
        };
        let mut squared = 0.0;
        for ((to, v), c) in to.iter_mut().zip(row).zip(&self.centre) {
            let placed = ((*v).into() - c) * scale;
            squared += placed * placed;
            *to = P::nearest(placed);
        }
        let d = row.len() as f64;
        squared * (1.0 - (2.5 * d + 32.0) * P::UNIT - (3.5 * d + 32.0) * f64::UNIT) - 8.0 * d * P::TINY
    }

    /// The base for products: each row followed by its lowered squared length.
    pub fn base<T: Real, P: Real>(&self, x: &RowMajor<T>, parallel: bool) -> Vec<P> {
        let (n, d) = x.dim();
        let mut placed = vec![P::zero_impl(); n * (d + 1)];
        let place = |(row, to): (usize, &mut [P])| {
            let squared = self.place(x.row(row), to);
            // Rounding to nearest may raise it by half a unit: the share above has room for it.
            to[d] = P::nearest(squared);
        };
        if parallel {
            placed.par_chunks_exact_mut(d + 1).enumerate().for_each(place);
        } else {
            placed.chunks_exact_mut(d + 1).enumerate().for_each(place);
        }
        placed
    }
}
