//! The two kinds of real numbers that transforms are made of.

use rustfft::FftNum;
use rustfft::num_traits::Float;

/// `f32` or `f64`.
pub trait Real: FftNum + Float {
    /// The nearest such number.
    fn of(value: f64) -> Self;

    /// As a double.
    fn double(self) -> f64;
}

impl Real for f32 {
    fn of(value: f64) -> f32 {
        value as f32
    }

    fn double(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> f64 {
        value
    }

    fn double(self) -> f64 {
        self
    }
}
