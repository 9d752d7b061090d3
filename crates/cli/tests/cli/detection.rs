//! Detectors: `train --boxes`, what they find in images, and how good that is.

use crate::common::{Folder, Numbers};
use serde_json::{Value, json};

/// Sides of the images.
const WIDTH: usize = 48;
const HEIGHT: usize = 40;

/// Dark grey images with one or two bright or striped rectangles in `FOLDER/scenes`, and `annotations.json` that lists them, in
/// another order; the first has no object.
fn scenes(name: &str, n: usize) -> (Folder, Value) {
    let folder = Folder::new(name);
    std::fs::create_dir(folder.path("scenes")).unwrap();
    let mut numbers = Numbers::new(5);
    let mut draw = |n: usize| (numbers.next() * n as f64) as usize;
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for i in 0..n {
        let mut pixels = ndarray::Array3::from_elem((1, HEIGHT, WIDTH), 0.1f32);
        for _ in 0..(1 + draw(2)).min(i) {
            let (w, h, class) = (12 + draw(8), 12 + draw(8), draw(2));
            let (x, y) = (draw(WIDTH - w), draw(HEIGHT - h));
            for (row, column) in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
                pixels[[0, row, column]] = if class == 1 && column % 2 == 0 { 0.2 } else { 1.0 };
            }
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": 100 - i, "category_id": 10 + class, "bbox": [x, y, w, h],
            }));
        }
        let png = quadrat::data::images::encode(pixels.view()).unwrap();
        std::fs::write(folder.path(&format!("scenes/{i:03}.png")), png).unwrap();
        images.push(json!({ "id": 100 - i, "file_name": format!("{i:03}.png"), "width": WIDTH, "height": HEIGHT }));
    }
    let categories = json!([{ "id": 10, "name": "plain" }, { "id": 11, "name": "striped" }]);
    let all = json!({ "images": images, "categories": categories, "annotations": annotations });
    folder.write("annotations.json", &all.to_string());
    (folder, all)
}

#[test]
fn boxes_are_learnt_found_and_judged() {
    let (folder, _) = scenes("detection", 60);
    let train =
        "quadrat train --images scenes/ --boxes annotations.json --model detector --method sampling-free --out model/";
    let said = folder.ok(train);
    assert!(said.contains("on 6 images held back:\n  AP") && said.contains("AP of striped"), "{said}");
    folder.ok("quadrat predict --model model/ --images scenes/ --out detections.json");
    let figures = folder.json("quadrat eval --boxes annotations.json --detections detections.json --json");
    assert_eq!(figures["images"], 60);
    assert!(figures["figures"]["AP50"].as_f64().unwrap() > 0.6, "{figures}");
    assert!(figures["classes"]["striped"].as_f64().unwrap() > 0.2, "{figures}");
    // The ids are those of the annotations; a line is a detection as COCO has it.
    let found: Value = serde_json::from_str(&folder.read("detections.json")).unwrap();
    for line in found.as_array().unwrap() {
        let name = format!("{:03}.png", 100 - line["image_id"].as_i64().unwrap());
        assert_eq!(line["file_name"], name);
        let [x, y, w, h]: [f64; 4] = serde_json::from_value(line["bbox"].clone()).unwrap();
        assert!(x >= 0.0 && y >= 0.0 && x + w <= WIDTH as f64 + 0.02 && y + h <= HEIGHT as f64 + 0.02, "{line}");
    }
    // The same seed, the same bits.
    folder.ok(&train.replace("model/", "again/"));
    let bytes = |name: &str| std::fs::read(folder.path(&format!("{name}/model.safetensors"))).unwrap();
    assert!(bytes("model") == bytes("again"));
    // Images of other sizes are resized, and boxes are in their own pixels.
    let large =
        quadrat::data::images::open(&folder.path("scenes/005.png"), quadrat::data::images::Channels::Grey).unwrap();
    let large = quadrat::data::images::resize(large, (2 * HEIGHT, 3 * WIDTH));
    std::fs::create_dir(folder.path("large")).unwrap();
    std::fs::write(folder.path("large/new.png"), quadrat::data::images::encode(large.view()).unwrap()).unwrap();
    folder.ok("quadrat predict --model model --images large --out large.json");
    let found: Value = serde_json::from_str(&folder.read("large.json")).unwrap();
    // Objects have 12 to 19 pixels, three times as many there.
    let wide = |line: &Value| line["bbox"][2].as_f64().unwrap() > 24.0;
    assert!(found.as_array().unwrap().iter().any(wide), "{found}");
    // A number behind all others, which the annotations do not know.
    assert_eq!(found[0]["image_id"], 101);
    let error = folder.fails("quadrat eval --boxes annotations.json --detections large.json");
    assert!(error.contains("large.json") && error.contains("new.png"), "{error}");
    let error = folder.fails("quadrat predict --model model --in annotations.json --out no.csv");
    assert!(error.contains("--images"), "{error}");
}

#[test]
fn every_loss_and_both_detectors_run() {
    let (folder, _) = scenes("detection-losses", 24);
    let line = "quadrat train --images scenes --boxes annotations.json --epochs 1 --json --validation 0";
    for slug in ["sampling-free", "focal", "ghm", "ohem", "biased-sampling", "dense-cross-entropy:prior=0.01"] {
        for model in ["detector", "anchor-detector"] {
            let said = folder.json(&format!("{line} --model {model} --method {slug}"));
            assert_eq!((&said["held_back"], &said["images"]), (&0.into(), &24.into()), "{slug} {model}");
            assert!(said["warnings"].to_string().contains("no images are held back"));
        }
    }
    folder.ok(&format!("{line} --model detector --method ghm --checkpoint state --out model"));
    folder.ok("quadrat predict --model model --images scenes --boxes annotations.json --out found.json");
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let (folder, good) = scenes("detection-errors", 6);
    let train = "quadrat train --images scenes --boxes bad.json --model detector --method sampling-free --out model";
    let first = |name: &str, value: Value| {
        let mut bad = good.clone();
        bad["annotations"][0][name] = value;
        bad
    };
    let image = |name: &str, value: Value| {
        let mut bad = good.clone();
        bad["images"][2][name] = value;
        bad
    };
    let none = |crowd: bool| {
        let mut bad = good.clone();
        let whole = json!([0, 0, WIDTH, HEIGHT]);
        let one = |i: usize| json!({ "id": i, "image_id": 100 - i, "category_id": 10, "bbox": whole, "iscrowd": 1 });
        bad["annotations"] = if crowd { (0..6).map(one).collect() } else { json!([]) };
        bad
    };
    for (bad, says) in [
        (first("bbox", json!([40, 0, 20, 5])), vec!["bad.json", "001.png", "outside the image of 48 x 40 pixels"]),
        (first("bbox", json!([4, 0, 0, 5])), vec!["bad.json", "001.png", "a box of 0 x 5"]),
        (first("category_id", json!(3)), vec!["bad.json", "001.png", "no category has the id 3"]),
        (first("id", json!(2)), vec!["bad.json", "two annotations have the id 2"]),
        (image("id", json!(99)), vec!["bad.json", "two images have the id 99"]),
        (image("width", json!(50)), vec!["bad.json", "002.png", "48 x 40"]),
        (image("file_name", json!("gone.png")), vec!["bad.json", "image 98 (gone.png) is not in scenes"]),
        (none(false), vec!["bad.json", "at least one image with an object"]),
        (none(true), vec!["bad.json", "all of them ignored"]),
    ] {
        folder.write("bad.json", &bad.to_string());
        let error = folder.fails(train);
        assert!(says.iter().all(|says| error.contains(says)), "{says:?}: {error}");
    }
    // Tiny objects lie between the points.
    let mut tiny = good.clone();
    for annotation in tiny["annotations"].as_array_mut().unwrap() {
        annotation["bbox"] = json!([0, 0, 3, 3]);
    }
    folder.write("bad.json", &tiny.to_string());
    let error = folder.fails(train);
    assert!(error.contains("no point lies in the middle half of any object: check scales"), "{error}");
    let small = ndarray::Array3::from_elem((1, 20, 20), 0.5f32);
    folder.write("bad.json", &good.to_string());
    for (line, says) in [
        (train.replace("--model detector ", ""), "--boxes trains a detector"),
        (train.replace("sampling-free", "elr"), "sampling-free"),
        (format!("{train} --loss mse"), "--loss"),
        (format!("{train} --method focal"), "one loss"),
        (train.replace("sampling-free", "focal:gamma=-1"), "gamma"),
        (train.replace("--images scenes", "--images none"), "--images"),
        (train.replace("--boxes bad.json ", ""), "--boxes"),
        ("quadrat train --in builtin:iris --target class --method sampling-free".to_owned(), "--boxes"),
        ("quadrat eval --boxes annotations.json".to_owned(), "--detections"),
        ("quadrat eval --boxes annotations.json --detections no.json".to_owned(), "no.json"),
        ("quadrat eval".to_owned(), "--model"),
    ] {
        let error = folder.fails(&line);
        assert!(error.contains(says), "{line}: {error}");
    }
    let mut bad = good.clone();
    bad["images"][3].as_object_mut().unwrap().retain(|name, _| name != "width" && name != "height");
    folder.write("bad.json", &bad.to_string());
    std::fs::write(folder.path("scenes/003.png"), quadrat::data::images::encode(small.view()).unwrap()).unwrap();
    let error = folder.fails(train);
    assert!(error.contains("003.png") && error.contains("size"), "{error}");
}
