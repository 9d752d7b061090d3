//! The image that a trained network makes of samples.

use super::Acquired;
use super::measured::Samples;
use crate::commands::work;
use quadrat::inverse::Complex;
use quadrat::inverse::reconresnet::{Acquisition, Cartesian, Consistency, Model, Radial};
use quadrat::{Error, Result, Settings};
use std::path::Path;

/// Share of the samples' energy that an image may leave unexplained without a word.
const UNEXPLAINED: f64 = 0.5;

/// The image, and what is to be said of it.
pub fn image(
    folder: Option<&Path>,
    parameters: &[(String, String)],
    acquired: &Acquired,
    samples: &Samples,
) -> Result<(Vec<Complex<f32>>, Vec<String>)> {
    let want = "the folder that `quadrat reconstruct train` has written";
    let folder = folder.ok_or_else(|| Error::input("--model", "nothing", want))?;
    let (mut model, _) = Model::load(folder)?;
    if !parameters.is_empty() {
        let own = Consistency::PARAMS.iter().map(|param| param.name).collect::<Vec<_>>();
        if let Some((name, _)) = parameters.iter().find(|(name, _)| !own.contains(&name.replace('_', "-").as_str())) {
            let want = format!("{}: all else was set when the model was trained", own.join(" or "));
            return Err(Error::input("option", format!("`--{name}`"), want));
        }
        model.consistency = Consistency::from_params(&work::params(parameters))?;
    }
    let [height, width] = *acquired.shape() else {
        return Err(Error::input("--method", "reconresnet for a volume", "slices: height x width"));
    };
    if samples.coils > 1 {
        let want = "one coil: combine them before, or take another method";
        return Err(Error::input("k-space", format!("{} coils", samples.coils), want));
    }
    let acquisition: Box<dyn Acquisition> = match acquired {
        Acquired::Grid { mask, .. } => Box::new(Cartesian::new(mask)?),
        Acquired::Elsewhere { coordinates, .. } => {
            Box::new(Radial::completed([height, width], coordinates.cycles.view())?)
        }
    };
    let taken = match acquired {
        Acquired::Grid { op, .. } => op.taken(&samples.values)?,
        Acquired::Elsewhere { .. } => samples.values.clone(),
    };
    let alone = Model { consistency: Consistency::Off, ..model.clone() }.reconstruct(&*acquisition, &taken)?;
    let own = acquisition.measure(alone.view())?;
    let square = |values: &mut dyn Iterator<Item = Complex<f32>>| values.map(|v| f64::from(v.norm_sqr())).sum::<f64>();
    let apart = square(&mut own.iter().zip(&taken).map(|(a, b)| a - b)) / square(&mut taken.iter().copied());
    let mut notes = Vec::new();
    if apart > UNEXPLAINED {
        notes.push(format!(
            "the network's image explains {:.0}% of the samples alone: images are taken to be real and not negative, as the network was \
             trained; k-space of images with a phase, or of another kind than those, does not suit it",
            100.0 * (1.0 - apart).max(0.0)
        ));
    }
    let image = model.consistent(&*acquisition, &taken, alone)?;
    Ok((image.into_iter().map(|v| Complex::new(v, 0.0)).collect(), notes))
}
