//! `quadrat impute`: series with holes -> draws of what the holes may hold.

use super::series::load;
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure};
use crate::reading::Reading;
use clap::Args;
use ndarray::{Array2, Array3, Array4, Axis, s};
use quadrat::data::write_arrays;
use quadrat::{Error, Result, Seed, stats};
use serde_json::json;
use std::path::PathBuf;

/// Options of `quadrat impute`.
#[derive(Args, Debug)]
pub struct Impute {
    /// Folder that `quadrat train --series` made
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// Series with holes, as the model was trained on
    #[arg(long, value_name = "FILE")]
    pub series: String,
    /// Draws of each series
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub draws: usize,
    /// Arrays (.npz): `draws` (draws x series x times x channels), `mean` and `deviation` over them, `observed` (1 where a value was
    /// there), `times`; NaN after the end of a series
    #[arg(long, value_name = "FILE.npz")]
    pub out: PathBuf,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub run: Run,
}

/// Fills the holes so many times.
pub fn run(args: &Impute) -> Result<Reply> {
    check_place(&args.out)?;
    if args.out.extension().is_none_or(|ending| ending != "npz") {
        return Err(Error::input("--out", args.out.display(), "a name that ends in .npz: the draws have four axes"));
    }
    let (mut kept, parameters) = load(&args.model)?;
    let (set, samples) = kept.see(&args.series, false, &args.reading)?;
    let drawn = kept.series.impute(&parameters, &samples, args.draws, Seed(args.run.seed))?;
    let (draws, n, t, d) = drawn.dim();
    let mut all = Array4::from_elem((draws, n, t, d), f64::NAN);
    let (mut observed, mut times) = (Array3::from_elem((n, t, d), f64::NAN), Array2::from_elem((n, t), f64::NAN));
    for (i, one) in set.series.iter().enumerate() {
        let own = one.times.len();
        times.slice_mut(s![i, ..own]).assign(&ndarray::ArrayView1::from(&one.times));
        observed.slice_mut(s![i, ..own, ..]).assign(&one.values.mapv(|v| f64::from(u8::from(!v.is_nan()))));
        for draw in 0..draws {
            let row: Vec<f32> = drawn.slice(s![draw, i, .., ..]).iter().copied().collect();
            let mut filled = kept.scale.raw(&row, own);
            // What was observed is the user's own number, to the last digit.
            filled.zip_mut_with(&one.values, |made, seen| *made = if seen.is_nan() { *made } else { *seen });
            all.slice_mut(s![draw, i, ..own, ..]).assign(&filled);
        }
    }
    let mean = all.mean_axis(Axis(0)).unwrap_or_default();
    let deviation = all.std_axis(Axis(0), 0.0);
    let holes = |c: usize| -> Vec<f64> {
        let pairs =
            deviation.index_axis(Axis(2), c).iter().copied().zip(observed.index_axis(Axis(2), c)).collect::<Vec<_>>();
        pairs.into_iter().filter(|(_, seen)| **seen == 0.0).map(|(v, _)| v).collect()
    };
    let spreads: Vec<(usize, f64)> = (0..d).map(holes).map(|v| (v.len(), stats::mean(&v))).collect();
    write_arrays(
        &args.out,
        &[
            ("draws", all.view().into_dyn()),
            ("mean", mean.view().into_dyn()),
            ("deviation", deviation.view().into_dyn()),
            ("observed", observed.view().into_dyn()),
            ("times", times.view().into_dyn()),
        ],
    )?;
    let holes: usize = spreads.iter().map(|(n, _)| n).sum();
    let mut text = format!("{} holes in {} series filled {} times\n", count(holes), count(n), count(draws));
    let lines = kept.channels.iter().zip(&spreads).filter(|(_, (n, _))| *n > 0);
    for (channel, (n, spread)) in lines {
        text.push_str(&format!("  {channel}: {} holes, draws spread by {} in the mean\n", count(*n), figure(*spread)));
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    let channels = kept.channels.iter().zip(&spreads);
    let channels: Vec<_> =
        channels.map(|(name, (n, spread))| json!({ "channel": name, "holes": n, "spread": spread })).collect();
    Ok(Reply::new(text, json!({ "series": n, "draws": draws, "channels": channels, "out": args.out })))
}
