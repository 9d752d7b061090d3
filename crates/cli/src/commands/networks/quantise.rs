//! `quadrat quantise`: images -> a small network with few bits that enlarges such images.

use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, operations, seconds, table};
use clap::Args;
use ndarray::Array2;
use quadrat::data::images::{Channels, Images, Wanted};
use quadrat::nn::{Samples, Targets};
use quadrat::regularize::{Enlarger, Op, QuantNas, QuantReport, Space, psnr_y, resize};
use quadrat::{Error, Progress, Result, Seed, Silent, stats};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Options of `quadrat quantise`.
#[derive(Args, Debug)]
pub struct Quantise {
    /// Images like those that are to be enlarged: a folder, or an .npy or .npz file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: PathBuf,
    /// Side to which they are resized; the network learns to make them of images so many times smaller as --scale says
    #[arg(long, value_name = "PIXELS", default_value_t = 48)]
    pub size: usize,
    /// Times larger
    #[arg(long, default_value_t = 2)]
    pub scale: usize,
    /// Weight of the bit operations in the search: the larger, the fewer
    #[arg(long, default_value_t = 1e-3)]
    pub eta: f64,
    /// Epochs of the search for operations and bits
    #[arg(long, default_value_t = 20)]
    pub epochs: usize,
    /// Epochs of the training of what was found, with real rounding
    #[arg(long, default_value_t = 60)]
    pub train_epochs: usize,
    /// File for the network (safetensors), which `quadrat enlarge` takes
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// One image in so many is held back to judge by.
const HELD: usize = 5;

/// Searches, trains, judges beside bicubic interpolation.
pub fn run(args: &Quantise, progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_place(out)?;
    }
    if args.scale < 2 || args.size == 0 || !args.size.is_multiple_of(args.scale) {
        let want = format!("a multiple of the scale {}, which is at least 2", args.scale);
        return Err(Error::input("--size", args.size, want));
    }
    let started = Instant::now();
    let seed = Seed(args.run.seed);
    let (small, side) = (args.size / args.scale, args.size);
    let pairs = pairs(args, small)?;
    let mut rows: Vec<u32> = (0..pairs.len() as u32).collect();
    seed.stream("held back").rng(0).shuffle(&mut rows);
    let (held, train) = rows.split_at(pairs.len() / HELD);
    let (test, train) = (pairs.select(held), pairs.select(train));
    let search = QuantNas {
        space: Space { scale: args.scale, ..Space::default() },
        size: [small; 2],
        eta: args.eta,
        epochs: args.epochs,
        warmup: 9 * args.epochs / 20,
        ..QuantNas::default()
    };
    let found = search.search(&train, seed.stream("search"), progress)?;
    let made = search.train(&found.best, &train, args.train_epochs, seed.stream("training"), progress)?;
    let plain = resize(test.inputs.view(), 3, [small; 2], [side; 2])?;
    let enlarged = made.enlarge(test.inputs.view(), [small; 2])?;
    let reached = [psnr(&plain, &test, side, args.scale)?, psnr(&enlarged, &test, side, args.scale)?];
    if let Some(out) = &args.out {
        made.save(out)?;
    }
    reply(args, &search.space, &found, &made, reached, [train.len(), test.len()], started.elapsed().as_secs_f64())
}

/// Small images and the large ones that they should become.
fn pairs(args: &Quantise, small: usize) -> Result<Samples> {
    let wanted = Wanted { size: Some((args.size, args.size)), channels: Some(Channels::Rgb) };
    let read = Images::read(&args.images, &wanted, &Silent)?;
    let n = read.pixels.dim().0;
    if n < 2 * HELD {
        return Err(Error::input("--images", format!("{n} images"), format!("at least {}", 2 * HELD)));
    }
    let flat = read.pixels.into_shape_with_order((n, 3 * args.size * args.size));
    let large = flat.map_err(|e| Error::numeric("images", e.to_string()))?;
    Samples::values(resize(large.view(), 3, [args.size; 2], [small; 2])?, large)
}

/// Mean PSNR of the luminance; images that come out exactly are left out, they would count as infinite.
fn psnr(enlarged: &Array2<f32>, test: &Samples, side: usize, border: usize) -> Result<f64> {
    let Targets::Values(large) = &test.targets else { return Ok(f64::NAN) };
    let mut values = Vec::new();
    for (a, b) in enlarged.outer_iter().zip(large.outer_iter()) {
        values.push(psnr_y(&a.to_vec(), &b.to_vec(), side, side, border)?);
    }
    values.retain(|v| v.is_finite());
    Ok(stats::mean(&values))
}

fn reply(
    args: &Quantise,
    space: &Space,
    found: &QuantReport,
    made: &Enlarger,
    [bicubic, reached]: [f64; 2],
    [rows, judged]: [usize; 2],
    took: f64,
) -> Result<Reply> {
    let small = args.size / args.scale;
    let full = space.bit_ops(&space.uniform(Op { kernel: 3, groups: 1 }, 8), small, small)?;
    let cost = made.bit_ops()?;
    let head = ["layer", "kernel", "groups", "bits"].map(str::to_owned).to_vec();
    let layer = |c: &quadrat::regularize::Choice| {
        vec![c.layer.clone(), c.op.kernel.to_string(), c.op.groups.to_string(), c.bits.to_string()]
    };
    let rows_of = std::iter::once(head).chain(made.genotype.choices.iter().map(layer)).collect::<Vec<_>>();
    let mut text = format!(
        "searched and trained on {} images, {} held back, in {} (seed {})\n{}\
         PSNR of the luminance {} dB, bicubic interpolation {} dB\n\
         {} times bits squared for an image, {} of what 3 x 3 kernels at 8 bits need\n",
        count(rows),
        count(judged),
        seconds(took),
        args.run.seed,
        table(&rows_of, &[1, 2, 3]),
        figure(reached),
        figure(bicubic),
        operations(cost),
        figure(cost / full)
    );
    match &args.out {
        Some(out) => text.push_str(&format!("wrote {}\n", out.display())),
        None => text.push_str("the network was not kept: add --out FILE\n"),
    }
    let value = json!({
        "images": rows,
        "held_back": judged,
        "genotype": crate::output::json(&made.genotype)?,
        "psnr": reached,
        "bicubic": bicubic,
        "bit_operations": cost,
        "bit_operations_of_3x3_at_8_bits": full,
        "search": crate::output::json(&found.trace)?,
        "seconds": took,
        "seed": args.run.seed,
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}
