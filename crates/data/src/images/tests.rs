use super::pixels::{convert, resize};
use super::*;
use image::{ExtendedColorType, ImageFormat};
use ndarray::{Array, Array2, array};
use proptest::prelude::*;
use quadrat_core::Silent;
use std::path::PathBuf;

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("quadrat-images-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn read(&self) -> Result<Images> {
        Images::read(&self.0, &Wanted::default(), &Silent)
    }

    fn refusal(&self) -> String {
        self.read().unwrap_err().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn encode(format: ImageFormat, colour: ExtendedColorType, values: &[u8], width: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let height = values.len() as u32 / width / u32::from(colour.bits_per_pixel() / 8);
    image::write_buffer_with_format(&mut bytes, values, width, height, colour, format).unwrap();
    bytes.into_inner()
}

use std::io::Cursor;

/// A grey PNG, a row of pixels.
fn grey(values: &[u8]) -> Vec<u8> {
    encode(ImageFormat::Png, ExtendedColorType::L8, values, values.len() as u32)
}

fn flat(image: &Array3<f32>) -> Vec<u8> {
    image.iter().map(|v| (v * 255.0).round() as u8).collect()
}

#[test]
fn pixels_of_every_kind_of_file_are_read() {
    let png = |colour, values: &[u8], width| decode("a.png", &encode(ImageFormat::Png, colour, values, width)).unwrap();
    let image = png(ExtendedColorType::L8, &[0, 51, 102, 153, 204, 255], 3);
    assert_eq!((image.dim(), image[[0, 1, 0]]), ((1, 2, 3), 0.6));
    // Red above blue: channels come first.
    let image = png(ExtendedColorType::Rgb8, &[255, 0, 0, 0, 0, 255], 1);
    assert_eq!((image.dim(), flat(&image)), ((3, 2, 1), vec![255, 0, 0, 0, 0, 255]));
    assert_eq!(flat(&png(ExtendedColorType::Rgba8, &[10, 20, 30, 0], 1)), [10, 20, 30]);
    assert_eq!(flat(&png(ExtendedColorType::La8, &[40, 128], 1)), [40]);
    let deep = png(ExtendedColorType::L16, &1000_u16.to_ne_bytes(), 1);
    assert!((deep[[0, 0, 0]] - 1000.0 / 65535.0).abs() < 1e-7);
    let jpeg = encode(ImageFormat::Jpeg, ExtendedColorType::Rgb8, &[200, 100, 50].repeat(64), 8);
    let image = decode("a.jpg", &jpeg).unwrap();
    assert_eq!(image.dim(), (3, 8, 8));
    assert!((image[[0, 3, 3]] * 255.0 - 200.0).abs() < 4.0);
    assert_eq!(decode("a", &encode(ImageFormat::Jpeg, ExtendedColorType::L8, &[9; 64], 8)).unwrap().dim(), (1, 8, 8));
    assert!(decode("a.png", b"GIF89a").unwrap_err().to_string().starts_with("a.png: neither"));
}

#[test]
fn a_folder_of_folders_has_a_class_each() {
    let folder = Folder::new("classes");
    for (name, value) in [("10/b.png", 1), ("10/a.PNG", 2), ("2/z.jpeg.png", 3), ("2/.hidden.png", 9)] {
        folder.write(name, &grey(&[value, value]));
    }
    folder.write("2/notes.txt", b"passed over");
    folder.write(".cache/x.png", b"passed over");
    let images = folder.read().unwrap();
    assert_eq!(images.classes, ["2", "10"]);
    assert_eq!(images.labels, [0, 1, 1]);
    assert_eq!(images.names, ["2/z.jpeg.png", "10/a.PNG", "10/b.png"]);
    assert_eq!(images.pixels.dim(), (3, 1, 1, 2));
    assert_eq!(images.pixels.index_axis(Axis(0), 1)[[0, 0, 0]], 2.0 / 255.0);

    folder.write("3/none.txt", b"");
    assert!(folder.refusal().contains("3: no PNG or JPEG file in it"), "{}", folder.refusal());
    folder.write("3/photo.webp", b"");
    assert!(folder.refusal().contains("photo.webp: images must be PNG or JPEG"));
}

#[test]
fn a_table_of_labels_gives_the_order() {
    let folder = Folder::new("table");
    for (name, value) in [("in/a.png", 1), ("in/b.png", 2), ("c.png", 3)] {
        folder.write(name, &grey(&[value]));
    }
    folder.write("labels.csv", b"label,file\ncat,c.png\ndog,in/a.png\ncat,in/b.png\n");
    let images = folder.read().unwrap();
    assert_eq!((images.labels, images.classes), (vec![0, 1, 0], vec!["cat".to_owned(), "dog".to_owned()]));
    assert_eq!(images.names, ["c.png", "in/a.png", "in/b.png"]);
    assert_eq!(images.pixels.iter().map(|v| (v * 255.0).round()).collect::<Vec<_>>(), [3.0, 1.0, 2.0]);
    folder.write("labels.csv", b"label,file\ncat,d.png\n");
    assert!(folder.read().is_err_and(|e| matches!(&e, Error::Io { path, .. } if path.ends_with("d.png"))));
    folder.write("labels.csv", b"class,file\ncat,c.png\n");
    assert!(folder.refusal().contains("label"));
}

#[test]
fn images_alone_have_no_labels_and_sizes_and_channels_are_made_alike() {
    let folder = Folder::new("alone");
    assert!(folder.refusal().contains("no images in it"));
    folder.write("a.png", &grey(&[0, 255]));
    folder.write("b.png", &encode(ImageFormat::Png, ExtendedColorType::Rgb8, &[255, 0, 0, 255, 0, 0], 2));
    let images = folder.read().unwrap();
    // As many grey as coloured: colour.
    assert_eq!((images.pixels.dim(), images.labels.len(), images.classes.len()), ((2, 3, 1, 2), 0, 0));
    assert_eq!(images.pixels.index_axis(Axis(0), 0).iter().copied().collect::<Vec<_>>(), [0.0, 1.0].repeat(3));
    let wanted = Wanted { channels: Some(Channels::Grey), ..Wanted::default() };
    let grey_images = Images::read(&folder.0, &wanted, &Silent).unwrap();
    assert!((grey_images.pixels[[1, 0, 0, 0]] - 0.299).abs() < 1e-6);

    folder.write("c.png", &grey(&[9, 9, 9]));
    let why = folder.refusal();
    assert!(why.contains("c.png: 1 x 3 pixels where ") && why.contains("a.png has 1 x 2"), "{why}");
    let sized = |size| Images::read(&folder.0, &Wanted { size: Some(size), channels: None }, &Silent);
    // Two of three are grey.
    assert_eq!(sized((4, 5)).unwrap().pixels.dim(), (3, 1, 4, 5));
    assert!(sized((0, 5)).is_err() && sized((5, MOST + 1)).is_err());
    folder.write("d.png", &grey(&[1, 2])[..40]);
    assert!(sized((4, 5)).unwrap_err().to_string().contains("d.png: damaged image"));
    assert!(Images::read(&folder.0.join("e.npz"), &Wanted::default(), &Silent).is_err());
    assert!(Images::read(&folder.0.join("a.png"), &Wanted::default(), &Silent).is_err());
}

/// The bytes of an npy file.
fn npy(kind: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entry =
        |(name, content): &(&str, Vec<u8>)| crate::zip::Entry { name: format!("{name}.npy"), content: content.clone() };
    let mut bytes = Vec::new();
    crate::zip::write(&mut bytes, &arrays.iter().map(entry).collect::<Vec<_>>()).unwrap();
    bytes
}

#[test]
fn arrays_of_every_order_are_read() {
    let folder = Folder::new("arrays");
    let path = folder.0.join("a.npz");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Images::read(&path, &Wanted::default(), &Silent)
    };
    let data: Vec<u8> = (0..24).collect();
    let labels = npy("<i8", false, "2,", &[7_i64, 3].map(i64::to_le_bytes).concat());
    for (shape, fortran, dim) in [
        ("2, 3, 4", false, (2, 1, 3, 4)),
        ("2, 2, 2, 3", false, (2, 3, 2, 2)),
        ("2, 3, 2, 2", false, (2, 3, 2, 2)),
        ("2, 1, 3, 4", false, (2, 1, 3, 4)),
        ("2, 3, 4", true, (2, 1, 3, 4)),
    ] {
        let images = read(&npz(&[
            ("other", npy("|u1", false, "5,", &[0; 5])),
            ("y_train", labels.clone()),
            ("x_train", npy("|u1", fortran, shape, &data)),
        ]))
        .unwrap();
        assert_eq!(images.pixels.dim(), dim, "{shape}");
        assert_eq!(
            (images.labels, images.classes, images.names[1].as_str()),
            (vec![1, 0], vec!["3".into(), "7".into()], "1")
        );
        // Where the second number of the memory is: one step along the last axis, or the first if columns are first.
        let second = match (shape, fortran) {
            (_, true) => [1, 0, 0, 0],
            ("2, 2, 2, 3", _) => [0, 1, 0, 0],
            _ => [0, 0, 0, 1],
        };
        assert_eq!(images.pixels[second], 1.0 / 255.0, "{shape} {fortran}");
    }
    let floats: Vec<u8> = [0.0_f32, 0.25, 0.5, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let alone = read(&npy("<f4", false, "1, 2, 2", &floats)).unwrap();
    assert_eq!(alone.pixels, array![[[[0.0, 0.25], [0.5, 1.0]]]]);
    assert!(alone.labels.is_empty());
    let texts: Vec<u8> = "catdog".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
    let named = npz(&[("y", npy("<U3", false, "2,", &texts)), ("x", npy("|u1", false, "2, 3, 4", &data))]);
    assert_eq!(read(&named).unwrap().classes, ["cat", "dog"]);

    let large: Vec<u8> = [0.0_f32, 255.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let missing: Vec<u8> = f32::NAN.to_le_bytes().to_vec();
    for (bytes, says) in [
        (npz(&[("pictures", npy("|u1", false, "2, 3, 4", &data))]), "no array in it is called `images`"),
        (
            npz(&[("x", npy("|u1", false, "2, 3, 4", &data)), ("y", npy("|u1", false, "3,", &[0; 3]))]),
            "3 labels for 2 images",
        ),
        (
            npz(&[("x", npy("|u1", false, "2, 3, 4", &data)), ("y", npy("|u1", false, "2, 2", &[0; 4]))]),
            "several columns",
        ),
        (npy("<i2", false, "1, 1, 1", &[0, 0]), "pixels of type <i2"),
        (npy("<f4", false, "1, 1, 2", &large), "a pixel of 255"),
        (npy("<f4", false, "1, 1, 1", &missing), "a pixel of NaN"),
        (npy("|u1", false, "24,", &data), "images are n x h x w"),
        (npy("|u1", false, "2, 2, 3, 2", &data), "images are n x h x w"),
        (npy("|u1", false, "0, 3, 4", &[]), "holds no image"),
        (npy("|u1", false, "2, 3, 5", &data), "does not fit shape"),
        (b"PK nothing".to_vec(), "a.npz: the zip"),
        (b"nothing".to_vec(), "neither a folder of images nor"),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("a.npz"), "{error}");
    }
}

#[test]
fn shrinking_averages_and_growing_interpolates() {
    let row = |values: Vec<f32>| Array::from_shape_vec((1, 1, values.len()), values).unwrap();
    assert_eq!(resize(row(vec![0.0, 1.0, 0.5, 0.7]), (1, 2)), row(vec![0.5, 0.6]));
    let thirds = resize(row(vec![0.0, 0.3, 0.9]), (1, 2));
    assert!((thirds[[0, 0, 0]] - 0.1).abs() < 1e-6 && (thirds[[0, 0, 1]] - 0.7).abs() < 1e-6);
    assert_eq!(resize(row(vec![0.0, 1.0]), (1, 4)), row(vec![0.0, 0.25, 0.75, 1.0]));
    assert_eq!(resize(row(vec![0.4]), (3, 2)), Array3::from_elem((1, 3, 2), 0.4));
    let image = Array3::from_shape_fn((3, 4, 6), |(c, y, x)| (c * 24 + y * 6 + x) as f32 / 72.0);
    assert_eq!(resize(image.clone(), (4, 6)), image);
    let halves = resize(image.clone(), (2, 3));
    assert!((halves[[2, 1, 2]] - image.slice(ndarray::s![2, 2..4, 4..6]).mean().unwrap()).abs() < 1e-6);
    assert_eq!(convert(image.clone(), Channels::Rgb), image);
}

#[test]
fn reading_stops_when_told() {
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let folder = Folder::new("stop");
    folder.write("a.png", &grey(&[1]));
    assert!(matches!(Images::read(&folder.0, &Wanted::default(), &Stop), Err(Error::Cancelled)));
}

proptest! {
    #[test]
    fn resizing_keeps_values_between_the_least_and_the_greatest_and_areas_their_mean(
        values in prop::collection::vec(0.0f32..1.0, 35), height in 1usize..16, width in 1usize..16,
    ) {
        let image = Array3::from_shape_vec((1, 5, 7), values.clone()).unwrap();
        let resized = resize(image.clone(), (height, width));
        prop_assert_eq!(resized.dim(), (1, height, width));
        let (least, most) = values.iter().fold((1.0f32, 0.0f32), |(a, b), v| (a.min(*v), b.max(*v)));
        prop_assert!(resized.iter().all(|v| (least - 1e-5..=most + 1e-5).contains(v)));
        if height <= 5 && width <= 7 {
            prop_assert!((resized.mean().unwrap() - image.mean().unwrap()).abs() < 1e-5);
        }
    }

    /// Damaged files are errors or images, never the end of the program.
    #[test]
    fn damage_is_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(), kind in 0usize..5, short: bool,
    ) {
        let noise: Vec<u8> = (0..12 * 9 * 3).map(|i| (i * i * 7 % 256) as u8).collect();
        let mut bytes = match kind {
            0 => encode(ImageFormat::Png, ExtendedColorType::Rgb8, &noise, 12),
            1 => encode(ImageFormat::Jpeg, ExtendedColorType::Rgb8, &noise, 12),
            2 => grey(&noise),
            3 => npy("|u1", false, "12, 9, 3", &noise),
            _ => npz(&[("images", npy("|u1", false, "12, 9, 3", &noise)), ("labels", npy("|u1", false, "12,", &noise[..12]))]),
        };
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if short {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        if kind < 3 {
            if let Ok(image) = decode("damaged", &bytes) {
                prop_assert!(image.iter().all(|v| (0.0..=1.0).contains(v)));
            }
        } else {
            let folder = Folder::new(&format!("damage-{kind}"));
            folder.write("a.npz", &bytes);
            let _ = Images::read(&folder.0.join("a.npz"), &Wanted::default(), &Silent);
        }
    }
}

#[test]
fn many_images_go_by_all_threads_in_order() {
    let folder = Folder::new("many");
    for i in 0..300 {
        folder.write(&format!("{i:03}.png"), &grey(&[(i % 256) as u8]));
    }
    let images = folder.read().unwrap();
    let values: Vec<usize> = images.pixels.iter().map(|v| (v * 255.0).round() as usize).collect();
    assert_eq!(values, (0..300).map(|i| i % 256).collect::<Vec<_>>());
    let rows: Array2<f32> = images.pixels.into_shape_with_order((300, 1)).unwrap();
    assert_eq!(rows.ncols(), 1);
}
