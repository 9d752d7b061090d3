//! Sums of products whose bits are the same on every processor: eight running sums side by side, added up in one order.
//!
//! Value i of a sum goes to running sum i mod 8 by a fused multiply-add. Eight single-precision numbers are what a vector of AVX2 holds;
//! where there is none, or it is shorter, the same additions are done in parts.

#[cfg(target_arch = "x86_64")]
use faer::traits::pulp::{NullaryFnOnce, cast, x86::V3};

/// Running sums.
pub(crate) const LANES: usize = 8;

/// Eight numbers that are worked on together.
pub(crate) trait Lanes: Copy {
    type Vector: Copy;

    fn load(self, values: &[f32; LANES]) -> Self::Vector;

    /// a b + c, rounded once.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    fn store(self, vector: Self::Vector) -> [f32; LANES];
}

/// Work that is compiled once for each kind of vector.
pub(crate) trait Kernel {
    fn run<L: Lanes>(self, lanes: L);
}

/// Does `kernel` with the vectors that this processor has.
pub(crate) fn run(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = V3::try_new() {
        return simd.vectorize(Vectorised { simd, kernel });
    }
    kernel.run(Plain);
}

/// What is left to the compiler.
#[derive(Clone, Copy)]
struct Plain;

impl Lanes for Plain {
    type Vector = [f32; LANES];

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::Vector {
        *values
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector) -> [f32; LANES] {
        vector
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for V3 {
    type Vector = std::arch::x86_64::__m256;

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::Vector {
        cast(*values)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.fma._mm256_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector) -> [f32; LANES] {
        cast(vector)
    }
}

#[cfg(target_arch = "x86_64")]
struct Vectorised<K> {
    simd: V3,
    kernel: K,
}

#[cfg(target_arch = "x86_64")]
impl<K: Kernel> NullaryFnOnce for Vectorised<K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.kernel.run(self.simd);
    }
}

/// The running sums as one number.
#[inline(always)]
pub(crate) fn sum(s: [f32; LANES]) -> f32 {
    let [a, b, c, d] = std::array::from_fn(|lane| s[lane] + s[lane + 4]);
    (a + c) + (b + d)
}

/// The last values of a row, those that fill no vector, with zeros behind.
#[inline(always)]
pub(crate) fn padded(rest: &[f32]) -> [f32; LANES] {
    let mut values = [0.0; LANES];
    values[..rest.len()].copy_from_slice(rest);
    values
}

/// a . b.
#[inline(always)]
pub(crate) fn dot<L: Lanes>(lanes: L, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = lanes.load(&[0.0; LANES]);
    for (a, b) in a.iter().zip(b) {
        sums = lanes.mul_add(lanes.load(a), lanes.load(b), sums);
    }
    if !a_rest.is_empty() {
        sums = lanes.mul_add(lanes.load(&padded(a_rest)), lanes.load(&padded(b_rest)), sums);
    }
    sum(lanes.store(sums))
}

/// out = scale x + out.
#[inline(always)]
pub(crate) fn add_scaled<L: Lanes>(lanes: L, scale: f32, x: &[f32], out: &mut [f32]) {
    let scale = lanes.load(&[scale; LANES]);
    let ((x, x_rest), (out, out_rest)) = (x.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
    for (x, out) in x.iter().zip(out) {
        *out = lanes.store(lanes.mul_add(scale, lanes.load(x), lanes.load(out)));
    }
    if !out_rest.is_empty() {
        let sums = lanes.mul_add(scale, lanes.load(&padded(x_rest)), lanes.load(&padded(out_rest)));
        out_rest.copy_from_slice(&lanes.store(sums)[..x_rest.len()]);
    }
}
