//! Images side by side.

use super::Block;
use ndarray::{Array2, Array3, Axis, s};
use quadrat::data::images::encode;
use quadrat::{Error, Result};

/// Images on a sheet, at most.
pub const MOST: usize = 64;
/// Images in a row.
const ACROSS: usize = 8;

/// The first rows of pixels, from 0 to 1, as images of channels, height and width.
pub fn of(rows: &Array2<f64>, [channels, height, width]: [usize; 3]) -> Result<Block> {
    let shown = rows.nrows().min(MOST);
    let (across, down) = (shown.clamp(1, ACROSS), shown.div_ceil(ACROSS).max(1));
    let colours = if channels == 3 { 3 } else { 1 };
    let mut sheet = Array3::<f32>::ones((colours, down * (height + 1) - 1, across * (width + 1) - 1));
    for (i, row) in rows.outer_iter().take(shown).enumerate() {
        let (top, left) = ((i / ACROSS) * (height + 1), (i % ACROSS) * (width + 1));
        let image = row.to_shape((channels, height, width)).map_err(|e| Error::numeric("images", e.to_string()))?;
        let image = image.mapv(|v| v as f32);
        sheet
            .slice_mut(s![.., top..top + height, left..left + width])
            .assign(&image.slice_axis(Axis(0), (0..colours).into()));
    }
    let caption = format!("{shown} of {} images", rows.nrows());
    Ok(Block::Picture { png: encode(sheet.view())?, caption })
}
