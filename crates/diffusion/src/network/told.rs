//! What networks have in common: how they are told of the noise, how long their average remembers, by what their rows are known.

/// Numbers that tell of the noise.
pub(crate) const TOLD: usize = 1 + 2 * OCTAVES;
const OCTAVES: usize = 4;

/// ln ρ / 4, and its sine and cosine at four octaves.
pub(crate) fn told_of(ratio: f64) -> [f32; TOLD] {
    let time = ratio.ln() / 4.0;
    std::array::from_fn(|j| {
        let wave = j.saturating_sub(1);
        let angle = time * f64::from(1u32 << (wave / 2)) * std::f64::consts::PI;
        (if j == 0 {
            time
        } else if wave.is_multiple_of(2) {
            angle.sin()
        } else {
            angle.cos()
        }) as f32
    })
}

/// The decay of a moving average whose half-life is a twentieth of the steps.
pub(crate) fn average(steps: usize) -> f32 {
    let half_life = (0.05 * steps as f64).max(1.0);
    (-std::f64::consts::LN_2 / half_life).exp() as f32
}

/// A number that differs where values do, for checkpoints.
pub(crate) fn sum_of<'a>(values: impl IntoIterator<Item = &'a f64>) -> u64 {
    values.into_iter().fold(0, |sum: u64, v| sum.rotate_left(5) ^ v.to_bits())
}
