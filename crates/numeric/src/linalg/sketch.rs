//! Sketches: fewer rows that stand for many.

use crate::points::matrix;
use crate::prepare;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Seed};
use rayon::prelude::*;

/// A sparse embedding of the rows (CountSketch with `nonzeros` = 1; OSNAP, Nelson and Nguyen 2013, beyond): `rows` rows
/// whose Gram matrix is about that of `x`. Each row of `x` is added to `nonzeros` different rows of the sketch with
/// random signs, divided by the root of `nonzeros`.
///
/// Cost: nonzeros x values of `x`. Memory: 4 x nonzeros bytes a row of `x`.
///
/// # Errors
/// `nonzeros` outside 1..=`rows`; `x` with values that are not finite or without rows.
///
/// ```
/// use quadrat_core::Seed;
/// let x = ndarray::Array2::from_elem((1000, 2), 1.0);
/// let small = quadrat_numeric::linalg::sketch(x.view(), 50, 1, Seed(1))?;
/// assert_eq!(small.dim(), (50, 2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn sketch(x: ArrayView2<f64>, rows: usize, nonzeros: usize, seed: Seed) -> Result<Array2<f64>> {
    prepare::check("matrix", x)?;
    if nonzeros == 0 || nonzeros > rows || rows > 1 << 31 {
        return Err(Error::input("non-zeros", nonzeros, format!("use 1 to {rows}, the number of sketch rows")));
    }
    let (n, d) = x.dim();
    let stream = seed.stream("sketch");
    // For each row of x its places in the sketch, the sign in the lowest bit.
    let mut places = vec![0_u32; n * nonzeros];
    places.par_chunks_exact_mut(nonzeros).enumerate().for_each(|(i, places)| {
        let mut rng = stream.rng(i as u64);
        for (place, to) in places.iter_mut().zip(rng.sample(rows, nonzeros)) {
            *place = (to as u32) << 1 | (rng.next_u64() >> 63) as u32;
        }
    });
    let mut starts = vec![0; rows + 1];
    places.iter().for_each(|p| starts[(p >> 1) as usize + 1] += 1);
    (0..rows).for_each(|r| starts[r + 1] += starts[r]);
    let mut next = starts.clone();
    let mut sources = vec![(0_u32, false); places.len()];
    for (at, place) in places.iter().enumerate() {
        let to = (place >> 1) as usize;
        sources[next[to]] = ((at / nonzeros) as u32, place & 1 == 1);
        next[to] += 1;
    }
    let scale = 1.0 / (nonzeros as f64).sqrt();
    let mut out = vec![0.0; rows * d];
    out.par_chunks_exact_mut(d).enumerate().for_each(|(r, out)| {
        for &(source, negative) in &sources[starts[r]..starts[r + 1]] {
            let sign = if negative { -scale } else { scale };
            out.iter_mut().zip(x.row(source as usize)).for_each(|(out, v)| *out += sign * v);
        }
    });
    matrix((rows, d), out)
}
