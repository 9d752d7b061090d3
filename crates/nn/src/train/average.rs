//! A moving average of parameters that is right from its first step on.

use crate::parameters::Parameters;

/// An exponential moving average without a bias towards where it began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Average {
    /// One array a parameter; empty before the first step.
    pub values: Vec<Vec<f32>>,
    /// Steps that it is the average of.
    pub steps: u64,
}

impl Average {
    /// Move towards `parameters`, which have taken one step more.
    ///
    /// A step s steps ago has the weight decayˢ (1 − decay); over t steps these add up to 1 − decayᵗ, by which the
    /// average is divided (as Adam's moments are): else a run much shorter than 1 / (1 − decay) steps would mostly
    /// return its own beginning.
    pub fn keep(&mut self, decay: f32, parameters: &Parameters) {
        if self.values.iter().map(Vec::len).ne(parameters.iter().map(|p| p.len())) {
            // A method changed what is stored: the average begins anew.
            *self = Average { values: parameters.iter().map(|p| vec![0.0; p.len()]).collect(), steps: 0 };
        }
        self.steps += 1;
        let decay = f64::from(decay);
        let share = (1.0 - decay) / (1.0 - decay.powf(self.steps as f64));
        let share = share as f32;
        for (kept, parameter) in self.values.iter_mut().zip(parameters.iter()) {
            let now = parameter.values();
            kept.iter_mut().zip(now).for_each(|(kept, now)| *kept += share * (now - *kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Role;

    #[test]
    fn a_short_average_is_not_drawn_to_its_beginning() {
        let at = |value: f32| {
            let mut parameters = Parameters::default();
            parameters.add_values("w".into(), vec![1], Role::Weight, vec![value]).unwrap();
            parameters
        };
        let mut average = Average::default();
        average.keep(0.999, &at(5.0));
        assert_eq!(average.values, [[5.0]]);
        average.keep(0.999, &at(7.0));
        assert!((average.values[0][0] - 6.0).abs() < 1e-3);
        // The definition, in double precision.
        let mut average = Average::default();
        let (mut sum, mut weights) = (0.0, 0.0);
        for step in 1..=50 {
            average.keep(0.9, &at(step as f32));
            (sum, weights) = (0.9 * sum + 0.1 * f64::from(step), 0.9 * weights + 0.1);
            assert!((f64::from(average.values[0][0]) - sum / weights).abs() < 1e-4);
        }
    }
}
