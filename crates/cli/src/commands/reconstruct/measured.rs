//! What a scanner measured, as the files have it.

use clap::Args;
use ndarray::Array2;
use quadrat::data::numbers::{self, Numbers};
use quadrat::inverse::masks::Pattern;
use quadrat::inverse::{Complex, Real, Units};
use quadrat::{Choice, Error, Result};
use std::path::{Path, PathBuf};

/// The trajectory of samples that lie on no grid.
#[derive(Args, Debug)]
pub struct Trajectory {
    /// Where in k-space each sample lies: an array of ... x axes, the image's first axis first (.npy, .npz or .cfl)
    #[arg(long, value_name = "FILE")]
    pub trajectory: Option<PathBuf>,
    /// Sides of the image, such as 256x256 [default: those of the array, where there is no trajectory]
    #[arg(long, value_name = "HxW")]
    pub shape: Option<String>,
    /// The unit of the coordinates: cycles (per field of view, -N/2 to N/2), pixels (cycles per pixel, -0.5 to 0.5) or radians (per pixel)
    /// [default: by the largest coordinate]
    #[arg(long, value_name = "NAME", value_parser = crate::parameters::choice::<Units>(), requires = "trajectory")]
    pub units: Option<Units>,
}

/// Coordinates in cycles per field of view.
pub struct Coordinates {
    /// Points x axes.
    pub cycles: Array2<f64>,
    /// The shape of the file's array without its last axis.
    pub shape: Vec<usize>,
    /// What was assumed.
    pub note: Option<String>,
}

impl Trajectory {
    /// The sides that `--shape` names.
    pub fn sides(&self) -> Result<Option<Vec<usize>>> {
        let Some(text) = &self.shape else { return Ok(None) };
        let sides: Option<Vec<usize>> = text.split(['x', 'X', '×']).map(|side| side.trim().parse().ok()).collect();
        let sides = sides.filter(|sides| (2..=3).contains(&sides.len()) && sides.iter().all(|side| *side > 1));
        let want = "sides of two or three axes, the slowest first, such as 256x256";
        sides.ok_or_else(|| Error::input("--shape", format!("`{text}`"), want)).map(Some)
    }

    /// Reads the coordinates for an image of these sides.
    pub fn read(&self, path: &Path, sides: &[usize]) -> Result<Coordinates> {
        let mut found = numbers::read(path)?;
        let axes = sides.len();
        let what = format!("trajectory {}", path.display());
        if found.complex && found.values.iter().any(|v| v[1] != 0.0) {
            return Err(Error::input(
                what,
                "complex numbers",
                "real coordinates with a last axis for the image's axes",
            ));
        }
        if path.extension().is_some_and(|ending| ending == "cfl" || ending == "hdr") {
            bart(&mut found, axes);
        }
        let last = found.shape.last().copied();
        // Some programs have the axes first: axes x points.
        let turned = last != Some(axes) && found.shape.len() == 2 && found.shape[0] == axes;
        if last != Some(axes) && !turned {
            let want = format!("... x {axes}, for an image of {axes} axes: is --shape right?");
            return Err(Error::input(what, format!("an array of shape {:?}", found.shape), want));
        }
        let points = found.values.len() / axes;
        let value = |(point, axis): (usize, usize)| {
            found.values[if turned { axis * points + point } else { point * axes + axis }][0]
        };
        let given = Array2::from_shape_fn((points, axes), value);
        let units = self.units.map_or_else(|| Units::guess(sides, given.view()), Ok)?;
        let cycles = units.to_cycles(sides, given.view())?;
        let named = Units::CHOICES.iter().find(|choice| choice.value == units);
        let note = named.filter(|_| self.units.is_none()).map(|named| {
            let most = given.iter().fold(0.0_f64, |most, k| most.max(k.abs()));
            format!(
                "coordinates of up to {most:.4} are taken for {} (--units {}); --units says otherwise",
                named.help.trim_end_matches('.').to_lowercase(),
                named.name
            )
        });
        let shape = if turned { vec![points] } else { found.shape[..found.shape.len() - 1].to_vec() };
        Ok(Coordinates { cycles, shape, note })
    }
}

/// BART's trajectories have three coordinates, the fastest axis of the image first.
fn bart(found: &mut Numbers, axes: usize) {
    if found.shape.last() != Some(&3) {
        return;
    }
    let rows = found.values.chunks_exact(3).flat_map(|k| k.iter().take(axes).rev().copied());
    found.values = rows.collect();
    if let Some(last) = found.shape.last_mut() {
        *last = axes;
    }
}

/// Samples of one or more coils, one coil behind the other.
pub struct Samples {
    pub coils: usize,
    pub values: Vec<Complex<f32>>,
}

/// A mask on the grid, where k-space is on one.
pub struct Grid {
    pub mask: Pattern,
    /// What is to be said of it.
    pub notes: Vec<String>,
}

/// Reads k-space as complex numbers.
pub fn kspace(path: &Path) -> Result<Numbers> {
    let found = numbers::read(path)?;
    let what = format!("k-space {}", path.display());
    found.complex(&what)?;
    finite(&what, &found)?;
    Ok(found)
}

/// That there is no NaN and no infinity.
pub fn finite(what: &str, found: &Numbers) -> Result<()> {
    match found.values.iter().position(|v| !(v[0].is_finite() && v[1].is_finite())) {
        None => Ok(()),
        Some(place) => {
            let mut rest = place;
            let mut at: Vec<usize> = found.shape.iter().rev().map(|side| (rest % side, rest /= side).0).collect();
            at.reverse();
            let got = format!("{} + {} i at {at:?} (from 0)", found.values[place][0], found.values[place][1]);
            Err(Error::input(what, got, "finite numbers: leave lost samples out"))
        }
    }
}

/// As complex numbers of another precision.
pub fn complex<T: Real>(found: &Numbers) -> Vec<Complex<T>> {
    found.values.iter().map(|[re, im]| Complex::new(T::of(*re), T::of(*im))).collect()
}

/// k-space on a grid: (coils x) height x width samples, and which of them count. Where `sides` are given, the array may have any shape of
/// as many numbers.
pub fn on_grid(kspace: &Numbers, mask: Option<&Path>, sides: Option<Vec<usize>>) -> Result<(Grid, Samples)> {
    let told = sides.as_ref().map(Vec::len);
    let shape = &match sides {
        None => kspace.shape.clone(),
        Some(sides) => {
            let pixels: usize = sides.iter().product();
            let coils = kspace.values.len() / pixels;
            if coils == 0 || kspace.values.len() != coils * pixels {
                let want = format!("(coils x) {pixels} numbers, for --shape {sides:?}");
                return Err(Error::input("k-space", format!("an array of shape {:?}", kspace.shape), want));
            }
            if coils == 1 { sides } else { [vec![coils], sides].concat() }
        }
    };
    let read = mask.map(numbers::read).transpose()?;
    let told = told.or_else(|| read.as_ref().map(|mask| mask.shape.len()).filter(|axes| *axes > 1));
    let axes = told.unwrap_or(2);
    if shape.len() != axes && shape.len() != axes + 1 {
        let want = format!("{axes} axes, or {} with the coils as the first", axes + 1);
        return Err(Error::input("k-space", format!("an array of shape {shape:?}"), want));
    }
    let (coils, sides) = if shape.len() > axes { (shape[0], &shape[1..]) } else { (1, &shape[..]) };
    let values = complex::<f32>(kspace);
    let places: usize = sides.iter().product();
    let mut notes = Vec::new();
    let mask = match read {
        Some(mask) if mask.shape == sides => Pattern::new(sides, kept(&mask)?)?,
        Some(mask) if mask.shape.len() == 1 => Pattern::lines(sides, &kept(&mask)?)?,
        Some(mask) => {
            let want =
                format!("shape {sides:?}, that of k-space, or [{}] for whole lines of its last axis", sides[axes - 1]);
            return Err(Error::input("mask", format!("an array of shape {:?}", mask.shape), want));
        }
        None => {
            let seen = |place: usize| (0..coils).any(|coil| values[coil * places + place].norm_sqr() > 0.0);
            let kept: Vec<bool> = (0..places).map(seen).collect();
            if !kept.contains(&true) {
                return Err(Error::input("k-space", "nothing but zeros", "at least one sample that is not 0"));
            }
            notes
                .push("samples that are 0 are taken for such that were not measured; --mask says otherwise".to_owned());
            Pattern::new(sides, kept)?
        }
    };
    if !mask.has_centre() {
        notes.push(
            "the mask leaves out the middle of k-space (index N/2 of each axis), without which an image has no contrast; does frequency 0 \
             stand elsewhere in these files? numpy.fft.fftshift brings it there"
                .to_owned(),
        );
    }
    let outside =
        (0..values.len()).filter(|place| !mask.kept()[place % places] && values[*place].norm_sqr() > 0.0).count();
    if outside > 0 {
        notes.push(format!("{outside} samples outside the mask are not 0 and do not count"));
    }
    Ok((Grid { mask, notes }, Samples { coils, values }))
}

fn kept(mask: &Numbers) -> Result<Vec<bool>> {
    finite("mask", mask)?;
    Ok(mask.values.iter().map(|[re, im]| *re != 0.0 || *im != 0.0).collect())
}

/// Samples at the points of a trajectory: (coils x) the shape of its points.
pub fn on_trajectory(kspace: &Numbers, coordinates: &Coordinates) -> Result<Samples> {
    let points = coordinates.cycles.nrows();
    let coils = kspace.values.len() / points;
    let fits = coils * points == kspace.values.len() && (coils == 1 || kspace.shape.first() == Some(&coils));
    if coils == 0 || !fits {
        let got = format!("an array of shape {:?}", kspace.shape);
        let want = format!(
            "a sample for each of the {points} points of the trajectory (shape {:?}), coils first",
            coordinates.shape
        );
        return Err(Error::input("k-space", got, want));
    }
    Ok(Samples { coils, values: complex(kspace) })
}
