//! `quadrat denoise`: a noisy photograph -> a clean one, by what is learnt from noisy ones alone.

use super::work::{self, in_force, params};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, json, seconds};
use crate::report::{Block, Page};
use clap::{Args, ValueEnum};
use ndarray::{Array3, ArrayView3, Axis, concatenate, s};
use quadrat::data::images::{self, Photo};
use quadrat::inverse::denoise::{ApBsn, BlindSpot, Course, Denoiser, ImageRestorer, NonLocalMeans, Sdap};
use quadrat::{
    Card, Error, Progress, Result, Seed, Settings, check_vacant, stats, write_atomic_bytes, write_atomic_folder,
};
use serde_json::json as object;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Denoise {
    /// Learn a model from a folder of noisy pictures, for any picture of that camera
    #[arg(value_enum, value_name = "train", requires = "images")]
    pub action: Option<Action>,
    /// The photograph: PNG (8 or 16 bits) or JPEG, grey or in colour. EXIF orientation is applied, transparency kept
    #[arg(long = "in", value_name = "FILE", conflicts_with = "action")]
    pub input: Option<PathBuf>,
    /// With `train`: a folder of noisy PNG and JPEG files, all grey or all in colour
    #[arg(long, value_name = "FOLDER", requires = "action")]
    pub images: Option<PathBuf>,
    /// A model that `quadrat denoise train` has made [default: learnt from the photograph itself]
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["action", "method"])]
    pub model: Option<PathBuf>,
    /// sdap, ap-bsn, blind-spot or non-local-means [default: sdap]
    #[arg(long)]
    pub method: Option<String>,
    /// The clean photograph, a PNG file in the photograph's own depth; with `train` the folder for the model
    #[arg(long, value_name = "FILE|FOLDER")]
    pub out: PathBuf,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE", conflicts_with = "action")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// What to do beside cleaning a photograph.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Learn a model
    Train,
}

/// A method that learns, with its settings.
enum Learner {
    Sdap(Sdap),
    ApBsn(ApBsn),
    BlindSpot(BlindSpot),
}

impl Learner {
    /// `None` for a method that learns nothing.
    fn of(card: &Card, parameters: &[(String, String)]) -> Result<Option<Self>> {
        let given = params(parameters);
        Ok(match card.slug {
            "sdap" => Some(Learner::Sdap(Sdap::from_params(&given)?)),
            "ap-bsn" => Some(Learner::ApBsn(ApBsn::from_params(&given)?)),
            "blind-spot" => Some(Learner::BlindSpot(BlindSpot::from_params(&given)?)),
            _ => None,
        })
    }

    fn course(&self) -> &Course {
        match self {
            Learner::Sdap(method) => &method.course,
            Learner::ApBsn(method) => &method.course,
            Learner::BlindSpot(method) => &method.course,
        }
    }

    /// Learns from pictures, whose names stand in errors.
    fn fit(&self, pictures: &[(String, Array3<f32>)], seed: Seed, progress: &dyn Progress) -> Result<Denoiser> {
        let patch = self.course().sizes().patch;
        for (name, picture) in pictures {
            let (channels, h, w) = picture.dim();
            if h.min(w) < patch {
                let stride = if let Learner::Sdap(Sdap { stride, .. }) | Learner::ApBsn(ApBsn { stride, .. }) = self {
                    *stride
                } else {
                    1
                };
                let fits = match h.min(w) / stride * stride {
                    0 => "`--method non-local-means` needs no patch".to_owned(),
                    most => format!("`--patch {most}` would fit"),
                };
                let why = format!("{h} x {w} pixels, smaller than a patch of {patch} x {patch}: {fits}");
                return Err(Error::data(name.clone(), None, why));
            }
            if channels != pictures[0].1.dim().0 {
                let kind = |channels: usize| if channels == 1 { "grey" } else { "in colour" };
                let why = format!(
                    "it is {}, {} is {}: train on grey and coloured pictures apart",
                    kind(channels),
                    pictures[0].0,
                    kind(pictures[0].1.dim().0)
                );
                return Err(Error::data(name.clone(), None, why));
            }
        }
        let images: Vec<Array3<f32>> = pictures.iter().map(|(_, picture)| picture.clone()).collect();
        match self {
            Learner::Sdap(method) => method.fit(&images, seed, progress),
            Learner::ApBsn(method) => method.fit(&images, seed, progress),
            Learner::BlindSpot(method) => method.fit(&images, seed, progress),
        }
    }
}

/// Cleans a photograph, or learns a model.
pub fn run(args: &Denoise, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let card = work::method::<Denoise>("denoise", args.method.as_deref().unwrap_or("sdap"), parameters)?;
    if args.action.is_some() {
        return train(args, card, parameters, progress);
    }
    let Some(input) = &args.input else {
        return Err(Error::input("--in", "nothing", "the photograph, such as --in photo.png"));
    };
    if let (Some((name, _)), Some(_)) = (parameters.first(), &args.model) {
        let want = "with --model nothing is learnt: its settings are those that it was trained with";
        return Err(Error::input("option", format!("`--{name}`"), want));
    }
    if !args.out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        let want = "a name that ends in .png: JPEG would add errors of its own";
        return Err(Error::input("--out", args.out.display(), want));
    }
    check_place(&args.out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let photo = Photo::read(input)?;
    let started = Instant::now();
    let seed = Seed(args.run.seed);
    let (clean, by) = match (&args.model, Learner::of(card, parameters)?) {
        (Some(folder), _) => {
            let model = Denoiser::load(folder)?;
            let (has, wants) = (photo.pixels.dim().0, model.network().channels);
            if has != wants {
                let kind = |channels| if channels == 1 { "grey" } else { "colours" };
                let why = format!("it is in {}, and {} knows {}", kind(has), folder.display(), kind(wants));
                return Err(Error::data(input.display().to_string(), None, why));
            }
            (model.restore(photo.pixels.view(), progress)?, format!("the model in {}", folder.display()))
        }
        (None, Some(learner)) => {
            let pictures = [(input.display().to_string(), photo.pixels.clone())];
            let model = learner.fit(&pictures, seed, progress)?;
            (model.restore(photo.pixels.view(), progress)?, format!("{}, learnt from itself", card.slug))
        }
        (None, None) => {
            let method = NonLocalMeans::from_params(&params(parameters))?;
            (method.restore(photo.pixels.view(), progress)?, card.slug.to_owned())
        }
    };
    let took = started.elapsed().as_secs_f64();
    let taken: Vec<f64> = photo.pixels.iter().zip(&clean).map(|(noisy, clean)| f64::from(noisy - clean)).collect();
    let (deviation, shift) = (stats::standard_deviation(&taken), -stats::mean(&taken));
    if let Some(path) = &args.report {
        let mut page = Page::new(format!("{}, cleaned", input.display()), format!("By {by}."));
        let facts = [("taken away, standard deviation", deviation), ("change of the mean", shift)];
        let mut facts: Vec<_> = facts.iter().map(|(name, value)| ((*name).to_owned(), figure(*value))).collect();
        facts.push(("seconds".into(), seconds(took)));
        let own = if args.model.is_some() { Vec::new() } else { in_force(card, parameters) };
        facts.extend(own.into_iter().map(|(name, value)| (format!("--{name}"), value)));
        let picture =
            Block::Picture { png: beside(&photo.pixels, &clean)?, caption: "Before and after: the middle".into() };
        page.section("The photograph", [picture, Block::Facts(facts)]);
        page.finish(path, Some(card))?;
    }
    let (channels, height, width) = clean.dim();
    write_atomic_bytes(&args.out, &Photo { pixels: clean, ..photo.clone() }.encode()?)?;
    let mut text = format!(
        "{}: {height} x {width} pixels, {}, {} bits, by {by} in {} (seed {})\n",
        input.display(),
        if channels == 1 { "grey" } else { "colours" },
        photo.bits,
        seconds(took),
        args.run.seed
    );
    text.push_str(&format!(
        "  taken away: a standard deviation of {} (white is 1); the mean changed by {}\n",
        figure(deviation),
        figure(shift)
    ));
    let wrote: Vec<&Path> = [Some(args.out.as_path()), args.report.as_deref()].into_iter().flatten().collect();
    wrote.iter().for_each(|path| text.push_str(&format!("wrote {}\n", path.display())));
    let value = object!({
        "in": input,
        "out": args.out,
        "report": args.report,
        "method": if args.model.is_some() { None } else { Some(card.slug) },
        "model": args.model,
        "height": height,
        "width": width,
        "channels": channels,
        "bits": photo.bits,
        "taken_away": deviation,
        "mean_change": shift,
        "seconds": took,
        "seed": args.run.seed,
    });
    Ok(Reply::new(text, value))
}

/// Learns a model from a folder.
fn train(
    args: &Denoise,
    card: &'static Card,
    parameters: &[(String, String)],
    progress: &dyn Progress,
) -> Result<Reply> {
    let Some(learner) = Learner::of(card, parameters)? else {
        let want = "sdap, ap-bsn or blind-spot: this one learns nothing, use it with --in";
        return Err(Error::input("--method", format!("`{}`", card.slug), want));
    };
    let Some(folder) = &args.images else {
        return Err(Error::input("--images", "nothing", "a folder of noisy pictures"));
    };
    check_vacant(&args.out)?;
    let read = |name: String| {
        let path = folder.join(name);
        Ok((path.display().to_string(), Photo::read(&path)?.pixels))
    };
    let pictures = images::files(folder)?.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let model = learner.fit(&pictures, Seed(args.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    write_atomic_folder(&args.out, |folder| model.save(folder))?;
    let numbers: usize = model.parameters().iter().map(|p| p.len()).sum();
    let sizes = learner.course().sizes();
    let text = format!(
        "{} pictures of {}: {} numbers trained by {} for {} steps in {} (seed {})\nwrote {}\n",
        count(pictures.len()),
        folder.display(),
        count(numbers),
        card.slug,
        count(sizes.steps),
        seconds(took),
        args.run.seed,
        args.out.display()
    );
    let value = object!({
        "images": folder,
        "pictures": pictures.len(),
        "method": card.slug,
        "network": json(model.network())?,
        "parameters": numbers,
        "steps": sizes.steps,
        "seconds": took,
        "seed": args.run.seed,
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}

/// The middle of both, at most so many pixels a side, with a white line between.
fn beside(noisy: &Array3<f32>, clean: &Array3<f32>) -> Result<Vec<u8>> {
    const SIDE: usize = 384;
    let (channels, h, w) = noisy.dim();
    let middle = |image: &Array3<f32>| {
        let (height, width) = (h.min(SIDE), w.min(SIDE));
        let (top, left) = ((h - height) / 2, (w - width) / 2);
        image.slice(s![.., top..top + height, left..left + width]).to_owned()
    };
    let (noisy, clean) = (middle(noisy), middle(clean));
    let line = Array3::ones((channels, noisy.dim().1, 2));
    let views: [ArrayView3<f32>; 3] = [noisy.view(), line.view(), clean.view()];
    let both = concatenate(Axis(2), &views).map_err(|e| Error::numeric("picture", e.to_string()))?;
    images::encode(both.view())
}
