//! `quadrat enlarge`: images -> larger ones, by a network that `quadrat quantise` made.

use crate::args::Run;
use crate::output::{Reply, check_place, count};
use clap::Args;
use ndarray::ArrayView3;
use quadrat::data::images::{self, Channels};
use quadrat::numeric::RowMajor;
use quadrat::regularize::Enlarger;
use quadrat::{Error, Progress, Result, check_vacant, checkpoint, write_atomic_bytes, write_atomic_folder};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Options of `quadrat enlarge`.
#[derive(Args, Debug)]
pub struct Enlarge {
    /// File that `quadrat quantise` made
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// A PNG or JPEG image of any size, or a folder of them
    #[arg(long, value_name = "FILE|FOLDER")]
    pub images: PathBuf,
    /// The enlarged image, .png; of a folder the folder to make, where each image has its name and the ending .png
    #[arg(long, value_name = "FILE|FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Enlarges one image or all of a folder.
pub fn run(args: &Enlarge, progress: &dyn Progress) -> Result<Reply> {
    let made = Enlarger::load(&args.model)?;
    let enlarged = if args.images.is_dir() {
        check_vacant(&args.out)?;
        let names = images::files(&args.images)?;
        progress.begin("enlarging", Some(names.len() as u64));
        write_atomic_folder(&args.out, |folder| {
            for name in &names {
                checkpoint(progress)?;
                let to = folder.join(if is_png(Path::new(name)) { name.clone() } else { format!("{name}.png") });
                if let Some(class) = to.parent() {
                    std::fs::create_dir_all(class).map_err(|e| Error::io(class, e))?;
                }
                enlarge(&made, &args.images.join(name), &to)?;
                progress.advance(1);
            }
            Ok(names.len())
        })?
    } else {
        if !is_png(&args.out) {
            return Err(Error::input("--out", args.out.display(), "a file that ends in .png, as the image is written"));
        }
        check_place(&args.out)?;
        enlarge(&made, &args.images, &args.out)?;
        1
    };
    let text = format!(
        "enlarged {} image{} {} times\nwrote {}\n",
        count(enlarged),
        if enlarged == 1 { "" } else { "s" },
        made.scale(),
        args.out.display()
    );
    Ok(Reply::new(text, json!({ "images": enlarged, "scale": made.scale(), "out": args.out })))
}

/// Whether the name of a file ends in png.
fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// One file to another.
fn enlarge(by: &Enlarger, from: &Path, to: &Path) -> Result<()> {
    let image = images::open(from, Channels::Rgb)?;
    let (channels, height, width) = image.dim();
    let wrong = |e: ndarray::ShapeError| Error::numeric("images", e.to_string());
    let row = image.into_shape_with_order((1, channels * height * width)).map_err(wrong)?;
    let large = by.enlarge(row.view(), [height, width])?;
    let pixels = RowMajor::of(large.view());
    let shape = (channels, height * by.scale(), width * by.scale());
    write_atomic_bytes(to, &images::encode(ArrayView3::from_shape(shape, pixels.values()).map_err(wrong)?)?)
}
