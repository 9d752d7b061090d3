//! `quadrat reconstruct`: samples of k-space -> the image.

pub mod measured;
#[cfg(feature = "networks")]
mod network;
#[cfg(feature = "networks")]
mod train;

use super::work;
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, seconds};
use crate::report::{Block, Page, sheet};
use clap::Args;
#[cfg(feature = "networks")]
use clap::Subcommand;
use measured::{Coordinates, Samples, Trajectory, complex, finite};
use ndarray::{Array2, Array3, Axis};
use quadrat::data::images::encode;
use quadrat::data::numbers::{self, Numbers};
use quadrat::inverse::masks::Pattern;
use quadrat::inverse::nufft::Compensated;
use quadrat::inverse::recon::ZeroFilled;
use quadrat::inverse::{
    Complex, Encoding, Gridding, MaskedFft, Reconstructor, Sense, reconstructor, reconstructors, root_sum_of_squares,
};
use quadrat::{Card, Error, Progress, Result, checkpoint, write_atomic_bytes};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
#[cfg(feature = "networks")]
use train::TrainReconstruction;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Reconstructing {
    #[cfg(feature = "networks")]
    #[command(subcommand)]
    pub learn: Option<Learn>,
    #[command(flatten)]
    pub own: Reconstruct,
}

/// What comes before an image is made.
#[cfg(feature = "networks")]
#[derive(Subcommand, Debug)]
pub enum Learn {
    /// Images, and what is measured of them -> a network that makes images of such samples
    Train(Box<TrainReconstruction>),
}

impl Reconstructing {
    /// Seed, threads and form of the answer.
    pub fn shared(&self) -> &Run {
        #[cfg(feature = "networks")]
        if let Some(Learn::Train(args)) = &self.learn {
            return &args.run;
        }
        &self.own.run
    }

    /// Trains, or makes an image.
    pub fn run(&self, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
        #[cfg(feature = "networks")]
        if let Some(Learn::Train(args)) = &self.learn {
            return train::run(args, progress);
        }
        run(&self.own, parameters, progress)
    }
}

#[derive(Args, Debug)]
pub struct Reconstruct {
    /// The samples: complex numbers, (coils x) the grid or the trajectory's points, frequency 0 at index N/2 of a grid (.npy, .npz or
    /// BART's .cfl)
    #[arg(long, value_name = "FILE", required = true)]
    pub kspace: Option<PathBuf>,
    /// Which samples of a grid count: an array of the grid's shape, or of its last axis for whole lines; 0 where nothing was measured
    /// [default: where samples are not 0]
    #[arg(long, value_name = "FILE", conflicts_with = "trajectory")]
    pub mask: Option<PathBuf>,
    #[command(flatten)]
    pub place: Trajectory,
    /// Coils' sensitivities, coils x the image's shape; without them the root of the sum of the coils' squares is the image
    #[arg(long, value_name = "FILE")]
    pub sensitivities: Option<PathBuf>,
    /// zero-filled (or gridded), cg, total-variation, wavelet or reconresnet; `quadrat show` tells their parameters
    #[arg(long, required = true)]
    pub method: Option<String>,
    /// With reconresnet: the folder that `quadrat reconstruct train` has written
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    /// The image: .npy or .cfl (complex; of coils without sensitivities real), or .png (its modulus, as bright as fits)
    #[arg(long, value_name = "FILE", required = true)]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// clap sees to it that these are there, unless the word `train` stands in their place.
impl Reconstruct {
    fn kspace(&self) -> &Path {
        self.kspace.as_deref().unwrap_or(Path::new(""))
    }

    fn method(&self) -> &str {
        self.method.as_deref().unwrap_or_default()
    }

    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new(""))
    }
}

/// How samples come of an image. (There is one of it in a run: its size does not matter.)
#[allow(clippy::large_enum_variant)]
pub enum Acquired {
    /// On a grid.
    Grid { mask: Pattern, op: MaskedFft<f32> },
    /// Elsewhere.
    Elsewhere { coordinates: Coordinates, op: Compensated<f32> },
}

impl Acquired {
    /// The sides of the image.
    pub fn shape(&self) -> &[usize] {
        match self {
            Acquired::Grid { op, .. } => op.shape(),
            Acquired::Elsewhere { op, .. } => op.shape(),
        }
    }

    /// The samples that count, as methods take them.
    fn counted(&self, samples: &Samples) -> Result<Vec<Complex<f32>>> {
        match self {
            Acquired::Grid { op, .. } => op.taken(&samples.values),
            Acquired::Elsewhere { op, .. } => Ok(op.samples_of(&samples.values)),
        }
    }

    /// The image of one coil, or of all with their sensitivities.
    fn image(
        &self,
        method: &dyn Reconstructor<f32>,
        samples: &[Complex<f32>],
        maps: Option<&[Complex<f32>]>,
        progress: &dyn Progress,
    ) -> Result<Vec<Complex<f32>>> {
        match (self, maps) {
            (Acquired::Grid { op, .. }, None) => method.reconstruct(samples, op, progress),
            (Acquired::Grid { op, .. }, Some(maps)) => {
                method.reconstruct(samples, &Sense::new(op, maps.to_vec())?, progress)
            }
            (Acquired::Elsewhere { op, .. }, None) => method.reconstruct(samples, op, progress),
            (Acquired::Elsewhere { op, .. }, Some(maps)) => {
                method.reconstruct(samples, &Sense::new(op, maps.to_vec())?, progress)
            }
        }
    }
}

/// Reads the files, makes the image, writes it.
fn run(args: &Reconstruct, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let card = work::method::<Reconstruct>("reconstruct", args.method(), parameters)?;
    let untrained = reconstructors().iter().any(|own| own.slug == card.slug);
    if untrained && args.model.is_some() {
        return Err(Error::input("--model", card.slug, "--method reconresnet beside it: others need none"));
    }
    let method = untrained.then(|| reconstructor(card.slug, &work::params(parameters))).transpose()?;
    check_image(args.out())?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let (acquired, samples, mut notes) = acquired(args)?;
    let maps =
        args.sensitivities.as_deref().map(|path| sensitivities(path, samples.coils, acquired.shape())).transpose()?;
    let started = Instant::now();
    let counted = acquired.counted(&samples)?;
    let image = match &method {
        Some(method) => made(&acquired, &**method, &counted, &samples, maps.as_deref(), progress)?,
        None => trained(args, parameters, &acquired, &samples, &mut notes)?,
    };
    for note in &notes {
        eprintln!("quadrat: note: {note}");
    }
    let took = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    write_image(args.out(), acquired.shape(), &image)?;
    let first = made(&acquired, &ZeroFilled {}, &counted, &samples, maps.as_deref(), progress)?;
    Told { args, card, parameters, acquired: &acquired, samples: &samples, notes, took }.reply(&image, &first)
}

/// The image by a network, and what is to be said of it.
#[cfg(feature = "networks")]
fn trained(
    args: &Reconstruct,
    parameters: &[(String, String)],
    acquired: &Acquired,
    samples: &Samples,
    notes: &mut Vec<String>,
) -> Result<Image> {
    if args.sensitivities.is_some() {
        return Err(Error::input("--sensitivities", "with reconresnet", "one coil, or another method"));
    }
    let (values, more) = network::image(args.model.as_deref(), parameters, acquired, samples)?;
    notes.extend(more);
    Ok(Image { values, complex: true })
}

/// Without networks there is no method that needs a model.
#[cfg(not(feature = "networks"))]
fn trained(
    args: &Reconstruct,
    _: &[(String, String)],
    _: &Acquired,
    _: &Samples,
    _: &mut Vec<String>,
) -> Result<Image> {
    Err(Error::input("--method", args.method(), "a program with the feature `networks`"))
}

/// The image: complex of one coil or with sensitivities, else real.
fn made(
    acquired: &Acquired,
    method: &dyn Reconstructor<f32>,
    counted: &[Complex<f32>],
    samples: &Samples,
    maps: Option<&[Complex<f32>]>,
    progress: &dyn Progress,
) -> Result<Image> {
    if maps.is_some() || samples.coils == 1 {
        return Ok(Image { values: acquired.image(method, counted, maps, progress)?, complex: true });
    }
    let coils = counted.chunks(counted.len() / samples.coils).map(|one| acquired.image(method, one, None, progress));
    let coils: Vec<Complex<f32>> = coils.collect::<Result<Vec<_>>>()?.concat();
    let values = root_sum_of_squares(&coils, acquired.shape().iter().product());
    Ok(Image { values: values.into_iter().map(|v| Complex::new(v, 0.0)).collect(), complex: false })
}

/// A finished image.
struct Image {
    values: Vec<Complex<f32>>,
    complex: bool,
}

/// What was measured, from the files.
fn acquired(args: &Reconstruct) -> Result<(Acquired, Samples, Vec<String>)> {
    let kspace = measured::kspace(args.kspace())?;
    let Some(path) = &args.place.trajectory else {
        let (grid, samples) = measured::on_grid(&kspace, args.mask.as_deref(), args.place.sides()?)?;
        let op = MaskedFft::new(&grid.mask)?;
        return Ok((Acquired::Grid { mask: grid.mask, op }, samples, grid.notes));
    };
    let want = "the image's sides beside a trajectory, such as --shape 256x256";
    let sides = args.place.sides()?.ok_or_else(|| Error::input("--shape", "nothing", want))?;
    let coordinates = args.place.read(path, &sides)?;
    let samples = measured::on_trajectory(&kspace, &coordinates)?;
    let notes = coordinates.note.iter().cloned().collect();
    let op = Compensated::new(&sides, coordinates.cycles.view(), Gridding::for_tolerance(1e-5)?)?;
    Ok((Acquired::Elsewhere { coordinates, op }, samples, notes))
}

fn sensitivities(path: &Path, coils: usize, shape: &[usize]) -> Result<Vec<Complex<f32>>> {
    let found = numbers::read(path)?;
    let what = format!("sensitivities {}", path.display());
    let fits = found.shape.first() == Some(&coils) && found.shape[1..] == *shape || coils == 1 && found.shape == shape;
    if !fits {
        let want = format!("{coils} x {shape:?}: a coil of k-space each, of the image's shape");
        return Err(Error::input(what, format!("an array of shape {:?}", found.shape), want));
    }
    finite(&what, &found)?;
    Ok(complex(&found))
}

/// That an image can be written to a file of this name.
pub fn check_image(path: &Path) -> Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !["npy", "cfl", "png"].contains(&ending) {
        return Err(Error::input("--out", path.display(), "a name that ends with .npy, .cfl or .png"));
    }
    check_place(path)
}

fn write_image(path: &Path, shape: &[usize], image: &Image) -> Result<()> {
    if path.extension().is_some_and(|ending| ending == "png") {
        let shown = shown(shape, image)?;
        return write_atomic_bytes(path, &encode(shown.view())?);
    }
    let values = image.values.iter().map(|v| [f64::from(v.re), f64::from(v.im)]).collect();
    numbers::write(path, &Numbers { shape: shape.to_vec(), values, complex: image.complex }, true)
}

/// The moduli of an image, or of the middle slice of a volume, from 0 to 1.
fn shown(shape: &[usize], image: &Image) -> Result<Array3<f32>> {
    let [height, width] = [shape[shape.len() - 2], shape[shape.len() - 1]];
    let slice = height * width;
    let middle = image.values.len() / slice / 2;
    let moduli: Vec<f32> = image.values[middle * slice..(middle + 1) * slice].iter().map(|v| v.norm()).collect();
    let most = moduli.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let moduli = moduli.into_iter().map(|v| v / most).collect();
    Array3::from_shape_vec((1, height, width), moduli).map_err(|e| Error::numeric("image", e.to_string()))
}

/// A finished run.
struct Told<'a> {
    args: &'a Reconstruct,
    card: &'static Card,
    parameters: &'a [(String, String)],
    acquired: &'a Acquired,
    samples: &'a Samples,
    notes: Vec<String>,
    took: f64,
}

impl Told<'_> {
    fn reply(&self, image: &Image, first: &Image) -> Result<Reply> {
        let Told { args, card, acquired, samples, .. } = self;
        let shape = acquired.shape();
        let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
        let (what, taken) = match acquired {
            Acquired::Grid { mask, .. } => {
                (format!("{} of {} samples on a grid", count(mask.count()), count(mask.kept().len())), mask.count())
            }
            Acquired::Elsewhere { coordinates, .. } => {
                let points = coordinates.cycles.nrows();
                (format!("{} samples on a trajectory", count(points)), points)
            }
        };
        // All else about a model was set when it was trained.
        let parameters: BTreeMap<String, String> = match args.model {
            Some(_) => self.parameters.iter().cloned().collect(),
            None => work::in_force(card, self.parameters).into_iter().collect(),
        };
        let pixels: usize = shape.iter().product();
        let acceleration = pixels as f64 / taken as f64;
        let most = image.values.iter().map(|v| v.norm()).fold(0.0, f32::max);
        let mut text = format!(
            "{}: an image of {} from {what} of {} coil{} in {}\n  {} samples for each pixel; the brightest pixel is {}\n",
            card.slug,
            sides.join(" x "),
            samples.coils,
            if samples.coils == 1 { "" } else { "s" },
            seconds(self.took),
            figure(1.0 / acceleration),
            figure(f64::from(most)),
        );
        if let Some(path) = &args.report {
            self.page(&what, image, first)?.finish(path, Some(card))?;
        }
        for path in [args.out.as_ref(), args.report.as_ref()].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        let value = json!({
            "method": card.slug,
            "parameters": parameters,
            "model": args.model,
            "shape": shape,
            "coils": samples.coils,
            "samples": taken,
            "acceleration": acceleration,
            "brightest": most,
            "complex": image.complex,
            "notes": self.notes,
            "seed": args.run.seed,
            "seconds": self.took,
            "out": args.out,
            "report": args.report,
        });
        Ok(Reply::new(text, value))
    }

    fn page(&self, what: &str, image: &Image, first: &Image) -> Result<Page> {
        let Told { args, card, acquired, samples, .. } = self;
        let shape = acquired.shape();
        let mut page = Page::new(format!("An image from {what}"), card.summary);
        page.blocks.push(Block::Facts(vec![
            ("Method".to_owned(), format!("{} ({})", card.title, card.slug)),
            ("k-space".to_owned(), args.kspace().display().to_string()),
            ("Coils".to_owned(), samples.coils.to_string()),
            ("Time".to_owned(), seconds(self.took)),
        ]));
        page.section("Mind", self.notes.iter().cloned().map(Block::Text));
        if args.model.is_none() {
            page.section("Parameters", work::parameters(card, self.parameters));
        }
        let picture = |image: &Image, caption: &str| -> Result<Block> {
            Ok(Block::Picture { png: encode(shown(shape, image)?.view())?, caption: caption.to_owned() })
        };
        page.section("Image", [picture(image, "the modulus; the brightest pixel is white")?]);
        page.section("Without the method", [picture(first, "zeros, or gridding, for what was not measured")?]);
        if let Acquired::Grid { mask, .. } = acquired
            && let [height, width] = *mask.shape()
        {
            let taken: Vec<f64> = mask.kept().iter().map(|kept| f64::from(u8::from(*kept))).collect();
            let taken =
                Array2::from_shape_vec((1, taken.len()), taken).map_err(|e| Error::numeric("mask", e.to_string()))?;
            page.section("Mask", [sheet::of(&taken, [1, height, width])?]);
        }
        if let Acquired::Elsewhere { coordinates, .. } = acquired {
            page.section(
                "Trajectory",
                [Block::Picture {
                    png: covered(coordinates, shape)?,
                    caption: "samples in each cell of k-space, logarithmic".to_owned(),
                }],
            );
        }
        Ok(page)
    }
}

/// How many samples are near each point of the grid, as a picture of the last two axes.
fn covered(coordinates: &Coordinates, shape: &[usize]) -> Result<Vec<u8>> {
    let axes = shape.len();
    let [height, width] = [shape[axes - 2], shape[axes - 1]];
    let mut cells = Array2::<f32>::zeros((height, width));
    for k in coordinates.cycles.axis_iter(Axis(0)) {
        let at = |axis: usize, side: usize| ((k[axis] + (side / 2) as f64).round().max(0.0) as usize).min(side - 1);
        cells[[at(axes - 2, height), at(axes - 1, width)]] += 1.0;
    }
    cells.mapv_inplace(f32::ln_1p);
    let most = cells.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    encode((cells / most).insert_axis(Axis(0)).view())
}
