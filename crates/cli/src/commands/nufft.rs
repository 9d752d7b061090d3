//! `quadrat nufft`: an image -> its Fourier transform at any frequencies, and back by the adjoint.

use super::reconstruct::measured::{Coordinates, Trajectory, complex, finite};
use crate::args::Run;
use crate::output::{Reply, check_place, count, seconds};
use clap::Args;
use quadrat::data::numbers::{self, Numbers};
use quadrat::inverse::{Complex, Encoding, Gridding, Nufft};
use quadrat::{Error, Progress, Result, checkpoint};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct FourierAnywhere {
    /// The image, real or complex, the last axes of an array; others are images of the same trajectory (.npy, .npz or BART's .cfl)
    #[arg(long, value_name = "FILE", required_unless_present = "adjoint", conflicts_with = "adjoint")]
    pub image: Option<PathBuf>,
    /// The conjugate transpose: samples -> an image (no inverse: see `quadrat reconstruct`)
    #[arg(long, requires = "samples", requires = "shape")]
    pub adjoint: bool,
    /// With --adjoint: complex samples, one for each point of the trajectory; axes before are other images
    #[arg(long, value_name = "FILE", requires = "adjoint")]
    pub samples: Option<PathBuf>,
    #[command(flatten)]
    pub place: Trajectory,
    /// Relative error of the samples, 1e-13 to 0.1
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-6)]
    pub tolerance: f64,
    /// Output, complex numbers in double precision: .npy or .cfl
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Transforms, and writes.
pub fn run(args: &FourierAnywhere, progress: &dyn Progress) -> Result<Reply> {
    if !args.out.extension().is_some_and(|ending| ending == "npy" || ending == "cfl") {
        return Err(Error::input("--out", args.out.display(), "a name that ends with .npy or .cfl"));
    }
    check_place(&args.out)?;
    let gridding = Gridding::for_tolerance(args.tolerance)?;
    let Some(trajectory) = &args.place.trajectory else {
        return Err(Error::input("--trajectory", "nothing", "a file of coordinates, points x axes of the image"));
    };
    let (given, what) = given(args)?;
    finite(&what, &given)?;
    let (sides, images, coordinates) =
        if args.adjoint { backward(args, trajectory, &given)? } else { forward(args, trajectory, &given)? };
    if let Some(note) = &coordinates.note {
        eprintln!("quadrat: note: {note}");
    }
    let started = Instant::now();
    let plan = Nufft::<f64>::new(&sides, coordinates.cycles.view(), gridding)?;
    let planned = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    let from = complex::<f64>(&given);
    let size = if args.adjoint { plan.pixels() } else { plan.samples() };
    let mut out = vec![Complex::new(0.0, 0.0); images.iter().product::<usize>() * size];
    if args.adjoint {
        plan.adjoint(&from, &mut out)?;
    } else {
        plan.forward(&from, &mut out)?;
    }
    let took = started.elapsed().as_secs_f64();
    let last = if args.adjoint { &sides } else { &coordinates.shape };
    let shape: Vec<usize> = images.iter().chain(last).copied().collect();
    let values = out.iter().map(|v| [v.re, v.im]).collect();
    numbers::write(&args.out, &Numbers { shape: shape.clone(), values, complex: true }, false)?;
    let written: Vec<String> = shape.iter().map(usize::to_string).collect();
    let text = format!(
        "{} of {} points in {} (plan {})\nwrote {}: {} complex numbers\n",
        if args.adjoint { "adjoint" } else { "transform" },
        count(plan.samples()),
        seconds(took),
        seconds(planned),
        args.out.display(),
        written.join(" x "),
    );
    let value = json!({
        "adjoint": args.adjoint,
        "points": plan.samples(),
        "shape": shape,
        "image": sides,
        "tolerance": args.tolerance,
        "notes": coordinates.note,
        "seconds": took,
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}

/// The array to transform.
fn given(args: &FourierAnywhere) -> Result<(Numbers, String)> {
    match (&args.image, &args.samples) {
        (Some(path), _) => Ok((numbers::read(path)?, format!("image {}", path.display()))),
        (None, Some(path)) => {
            let what = format!("samples {}", path.display());
            let found = numbers::read(path)?;
            found.complex(&what)?;
            Ok((found, what))
        }
        (None, None) => Err(Error::input("--image", "nothing", "an image, or --adjoint with --samples")),
    }
}

/// Sides of the image, the axes before them, and where the samples are to lie.
type Asked = (Vec<usize>, Vec<usize>, Coordinates);

fn forward(args: &FourierAnywhere, trajectory: &Path, image: &Numbers) -> Result<Asked> {
    let shape = &image.shape;
    // A stack of pictures and a volume look alike: --shape tells, else the trajectory's last axis.
    let sides = match args.place.sides()? {
        Some(sides) => sides,
        None => {
            let found = numbers::read(trajectory)?;
            let axes = found.shape.last().copied().filter(|axes| (2..=3).contains(axes)).unwrap_or(2);
            shape[shape.len().saturating_sub(axes)..].to_vec()
        }
    };
    if !shape.ends_with(&sides) || sides.len() < 2 {
        let want = format!("... x {sides:?}, at least two axes");
        return Err(Error::input("image", format!("an array of shape {shape:?}"), want));
    }
    let before = shape[..shape.len() - sides.len()].to_vec();
    let coordinates = args.place.read(trajectory, &sides)?;
    Ok((sides, before, coordinates))
}

fn backward(args: &FourierAnywhere, trajectory: &Path, samples: &Numbers) -> Result<Asked> {
    let want = "the image's sides, such as --shape 256x256";
    let sides = args.place.sides()?.ok_or_else(|| Error::input("--shape", "nothing", want))?;
    let coordinates = args.place.read(trajectory, &sides)?;
    let points = coordinates.cycles.nrows();
    let own = if samples.shape.ends_with(&coordinates.shape) { coordinates.shape.len() } else { 1 };
    let (before, last) = samples.shape.split_at(samples.shape.len().saturating_sub(own));
    if last.iter().product::<usize>() != points {
        let got = format!("an array of shape {:?}", samples.shape);
        let want = format!("one for each of the {points} points of the trajectory, of shape {:?}", coordinates.shape);
        return Err(Error::input("samples", got, want));
    }
    Ok((sides, before.to_vec(), coordinates))
}
