//! Inner products of many rows with few queries: what an exact search does.
//!
//! Queries stand in panels of [`PANEL`], one value of each beside the other, so that a vector of the processor holds one column of
//! many queries and the sums need no adding up at the end. Each product is one chain of fused multiply-adds over the columns in their
//! order: its bits depend on the two rows alone, not on the batch, the block or the processor.

use faer::traits::pulp::{Arch, Simd, WithSimd};

/// Queries of a panel.
pub const PANEL: usize = 16;
/// Rows whose sums fit the registers beside each other.
const TILE: usize = 6;

/// Queries (up to [`PANEL`] rows of `d` values) as a panel: `d` x [`PANEL`], missing ones zero.
pub fn panel<T: Copy + Default>(queries: &[T], d: usize) -> Vec<T> {
    let mut panel = vec![T::default(); d * PANEL];
    for (place, query) in queries.chunks_exact(d.max(1)).take(PANEL).enumerate() {
        query.iter().enumerate().for_each(|(t, value)| panel[t * PANEL + place] = *value);
    }
    panel
}

/// `out[i][j]` = row i . query j, for row-major `rows` of `d` values and a [`panel`]. One thread.
///
/// `rows` must hold `d` values for each of `out`, and `panel` `d` x [`PANEL`]. O(rows x [`PANEL`] x `d`), at the speed of a matrix product.
///
/// ```
/// use quadrat_numeric::products::{PANEL, panel, products};
/// let (rows, queries) = ([1.0, 2.0, 3.0, 4.0], [0.5, 1.0]);
/// let mut out = [[0.0; PANEL]; 2];
/// products(&rows, 2, &panel(&queries, 2), &mut out);
/// assert_eq!([out[0][0], out[1][0]], [2.5, 5.5]);
/// ```
pub fn products(rows: &[f32], d: usize, panel: &[f32], out: &mut [[f32; PANEL]]) {
    Arch::new().dispatch(Products { rows, d, panel, out });
}

struct Products<'a> {
    rows: &'a [f32],
    d: usize,
    panel: &'a [f32],
    out: &'a mut [[f32; PANEL]],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match PANEL / S::F32_LANES {
            1 => self.tiles::<S, 1>(simd),
            2 => self.tiles::<S, 2>(simd),
            4 => self.tiles::<S, 4>(simd),
            _ => self.tiles::<S, PANEL>(simd),
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const V: usize>(self, simd: S) {
        let d = self.d;
        let (panel, _) = S::as_simd_f32s(&self.panel[..d * PANEL]);
        let rows = self.rows.chunks(TILE * d.max(1));
        for (rows, out) in rows.zip(self.out.chunks_mut(TILE)) {
            match <&mut [_; TILE]>::try_from(&mut *out) {
                Ok(out) => tile::<S, V, TILE>(simd, rows, d, panel, out),
                Err(_) => {
                    for (row, out) in rows.chunks(d.max(1)).zip(out) {
                        tile::<S, V, 1>(simd, row, d, panel, std::array::from_mut(out));
                    }
                }
            }
        }
    }
}

/// The products of `R` rows with a panel of `V` vectors a column.
#[inline(always)]
fn tile<S: Simd, const V: usize, const R: usize>(
    simd: S,
    rows: &[f32],
    d: usize,
    panel: &[S::f32s],
    out: &mut [[f32; PANEL]; R],
) {
    let mut each = [rows; R];
    let mut rest = rows;
    for row in &mut each {
        (*row, rest) = rest.split_at(d);
    }
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (t, queries) in panel.chunks_exact(V).take(d).enumerate() {
        for (row, sums) in each.iter().zip(&mut sums) {
            let value = simd.splat_f32s(row[t]);
            for (sum, query) in sums.iter_mut().zip(queries) {
                *sum = simd.mul_add_f32s(value, *query, *sum);
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(&sums) {
        let (out, _) = S::as_mut_simd_f32s(out);
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum);
    }
}

/// Two neighbouring columns of whole numbers, which one instruction multiplies and adds.
pub type Pair = [i16; 2];

/// [`products`] of whole numbers: `rows` hold `pairs` pairs of columns each, `panel` is a [`panel`] of such. Exact as long as
/// no sum leaves 32 bits.
pub fn pair_products(rows: &[Pair], pairs: usize, panel: &[Pair], out: &mut [[i32; PANEL]]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = faer::traits::pulp::x86::V3::try_new() {
        return simd.vectorize(avx2::Pairs { simd, rows, pairs, panel, out });
    }
    for (row, out) in rows.chunks(pairs.max(1)).zip(out) {
        *out = [0; PANEL];
        for (a, queries) in row.iter().zip(panel.as_chunks::<PANEL>().0) {
            for (sum, b) in out.iter_mut().zip(queries) {
                *sum += i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1]);
            }
        }
    }
}

/// The compiler does not find `vpmaddwd` by itself.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{PANEL, Pair, TILE};
    use faer::traits::pulp::x86::V3;
    use faer::traits::pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::__m256i;

    /// Vectors of 8 sums a panel.
    const V: usize = PANEL / 8;

    pub(super) struct Pairs<'a> {
        pub(super) simd: V3,
        pub(super) rows: &'a [Pair],
        pub(super) pairs: usize,
        pub(super) panel: &'a [Pair],
        pub(super) out: &'a mut [[i32; PANEL]],
    }

    impl NullaryFnOnce for Pairs<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Pairs { simd, rows, pairs, panel, out } = self;
            let panel = panel.as_chunks::<8>().0;
            for (rows, out) in rows.chunks(TILE * pairs.max(1)).zip(out.chunks_mut(TILE)) {
                match <&mut [_; TILE]>::try_from(&mut *out) {
                    Ok(out) => tile(simd, rows, pairs, panel, out),
                    Err(_) => {
                        for (row, out) in rows.chunks(pairs.max(1)).zip(out) {
                            tile(simd, row, pairs, panel, std::array::from_mut(out));
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn tile<const R: usize>(simd: V3, rows: &[Pair], pairs: usize, panel: &[[Pair; 8]], out: &mut [[i32; PANEL]; R]) {
        let mut each = [rows; R];
        let mut rest = rows;
        for row in &mut each {
            (*row, rest) = rest.split_at(pairs);
        }
        let mut sums = [[simd.avx._mm256_setzero_si256(); V]; R];
        for (t, queries) in panel.chunks_exact(V).take(pairs).enumerate() {
            for (row, sums) in each.iter().zip(&mut sums) {
                let value = simd.avx._mm256_set1_epi32(cast(row[t]));
                for (sum, query) in sums.iter_mut().zip(queries) {
                    *sum = simd.avx2._mm256_add_epi32(*sum, simd.avx2._mm256_madd_epi16(value, cast(*query)));
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(&sums) {
            for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                *out = cast::<__m256i, [i32; 8]>(*sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_are_chains_of_multiply_adds(
            n in 0..20_usize, d in 1..40_usize, m in 1..=PANEL, seed in any::<u64>(),
        ) {
            let mut rng = quadrat_core::Seed(seed).rng(0);
            let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.normal() as f32).collect() };
            let (rows, queries) = (draw(n * d), draw(m * d));
            let mut out = vec![[0.0; PANEL]; n];
            products(&rows, d, &panel(&queries, d), &mut out);
            for (row, out) in rows.chunks(d).zip(&out) {
                for (query, found) in queries.chunks(d).zip(out) {
                    let chain = row.iter().zip(query).fold(0.0_f32, |sum, (a, b)| a.mul_add(*b, sum));
                    prop_assert_eq!(chain.to_bits(), found.to_bits());
                }
            }
        }

        #[test]
        fn products_of_pairs_are_exact(n in 0..20_usize, pairs in 1..30_usize, m in 1..=PANEL, seed in any::<u64>()) {
            let mut rng = quadrat_core::Seed(seed).rng(0);
            let mut draw = |n: usize| -> Vec<Pair> {
                (0..n).map(|_| [rng.below(255) as i16 - 127, rng.below(4001) as i16 - 2000]).collect()
            };
            let (rows, queries) = (draw(n * pairs), draw(m * pairs));
            let mut out = vec![[0; PANEL]; n];
            pair_products(&rows, pairs, &panel(&queries, pairs), &mut out);
            for (row, out) in rows.chunks(pairs).zip(&out) {
                for (query, found) in queries.chunks(pairs).zip(out) {
                    let each = row.iter().zip(query);
                    let sum: i32 = each.map(|(a, b)| (0..2).map(|i| i32::from(a[i]) * i32::from(b[i])).sum::<i32>()).sum();
                    prop_assert_eq!(sum, *found);
                }
            }
        }
    }
}
