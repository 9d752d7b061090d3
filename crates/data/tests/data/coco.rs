//! COCO's files: read as they are written, refused in words, judged as pycocotools does (`others/coco.py`).

use quadrat_data::coco::{Annotations, write_detections};
use quadrat_numeric::average_precision::average_precision;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn other(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others").join(name)
}

fn write(name: &str, value: &Value) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quadrat-coco-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), value.to_string()).unwrap();
    folder.join(name)
}

#[test]
fn figures_are_those_of_pycocotools() {
    let annotations = Annotations::read(&other("coco.annotations.json")).unwrap();
    let found = annotations.detections(&other("coco.detections.json")).unwrap();
    let wanted: Value = serde_json::from_slice(&std::fs::read(other("coco.figures.json")).unwrap()).unwrap();
    let at = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| average_precision(&annotations.objects, &found, annotations.categories.len()))
    };
    let figures = at(1);
    assert_eq!(figures, at(2));
    for (name, value) in figures.figures {
        let wanted = wanted["figures"][name].as_f64().unwrap();
        assert!((value.unwrap_or(-1.0) - wanted).abs() < 1e-12, "{name}: {value:?} for {wanted}");
    }
    for (category, value) in annotations.categories.iter().zip(figures.classes) {
        let wanted = wanted["classes"][category.id.to_string()].as_f64();
        assert!((value.unwrap_or(-1.0) - wanted.unwrap_or(-1.0)).abs() < 1e-12, "{}", category.name);
    }
    // Nothing found, nothing to be found.
    let none = average_precision(&annotations.objects, &[], 4);
    assert_eq!((none.figures[0].1, none.figures[8].1, none.classes[3]), (Some(0.0), Some(0.0), None));
    assert!(average_precision(&[], &found, 4).figures.iter().all(|(_, value)| value.is_none()));
}

#[test]
fn detections_come_back() {
    let annotations = Annotations::read(&other("coco.annotations.json")).unwrap();
    let path = write("found.json", &json!([]));
    for count in [0usize, 1, 3] {
        let image = &annotations.images[2];
        let line = (image.id, image.file_name.as_str(), 7, [1.0, 2.005, 3.5, 1.0 / 3.0], 0.1f32);
        write_detections(&path, std::iter::repeat_n(line, count)).unwrap();
        let back = annotations.detections(&path).unwrap();
        assert_eq!(back.len(), count);
        assert!(back.iter().all(|d| d.image == 2 && d.class == 1 && d.bounds[3] == 0.33 && d.score == 0.1));
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let good = json!({
        "images": [{ "id": 4, "file_name": "a.png", "width": 20, "height": 10 }, { "id": 5, "file_name": "b.png" }],
        "categories": [{ "id": 1, "name": "cat" }],
        "annotations": [
            { "id": 1, "image_id": 4, "category_id": 1, "bbox": [0, 0, 20.4, 10] },
            { "id": 2, "image_id": 5, "category_id": 1, "bbox": [100, 100, 5, 5], "iscrowd": 1 },
        ],
    });
    let annotations = Annotations::read(&write("good.json", &good)).unwrap();
    assert_eq!((annotations.objects[0].area, annotations.objects[1].crowd), (204.0, true));
    let cases: [(&str, &str, Value, &str); 12] = [
        ("/images/1/id", "twice.json", json!(4), "twice.json: two images have the id 4"),
        ("/annotations/1/id", "same.json", json!(1), "two annotations have the id 1"),
        ("/annotations/0/image_id", "image.json", json!(9), "annotation 1: `images` has no image with the id 9"),
        (
            "/annotations/0/category_id",
            "class.json",
            json!(9),
            "annotation 1 of image 4 (a.png): no category has the id 9",
        ),
        (
            "/annotations/0/bbox",
            "empty.json",
            json!([1, 1, 0, 5]),
            "a.png): a box of 0 x 5 pixels; both must be above 0",
        ),
        ("/annotations/0/bbox", "out.json", json!([1, 1, 25, 5]), "lies outside the image of 20 x 10 pixels"),
        ("/annotations/0/bbox", "left.json", json!([-3, 1, 5, 5]), "lies outside the image"),
        ("/annotations/1/bbox", "unknown.json", json!([-3, 1, 5, 5]), "b.png): the box"),
        ("/annotations/0/bbox", "three.json", json!([1, 1, 5]), "three.json:1: not annotations in COCO's format"),
        ("/images", "none.json", json!([]), "none.json: no image in it"),
        ("/categories", "missing.json", json!([]), "no category has the id 1"),
        ("/categories", "odd.json", json!("cat"), "not annotations in COCO's format"),
    ];
    for (at, name, value, says) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap() = value;
        let error = Annotations::read(&write(name, &bad)).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let line = json!({ "image_id": 4, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5, "file_name": "a.png" });
    let cases: [(&str, Value, &str); 5] = [
        ("image_id", json!(7), "detection 1, image_id 7 (a.png): the annotations list no such image"),
        ("category_id", json!(2), "the annotations list no category 2"),
        ("file_name", json!("c.png"), "there the annotations have a.png: predict with --boxes"),
        ("bbox", json!([0, 0, -1, 5]), "sizes of 0 or more"),
        ("score", json!("high"), "not detections in COCO's format"),
    ];
    for (at, value, says) in cases {
        let mut bad = line.clone();
        bad[at] = value;
        let error = annotations.detections(&write("lines.json", &json!([bad]))).unwrap_err().to_string();
        assert!(error.contains(says), "{at}: {error}");
    }
    assert!(Annotations::read(Path::new("no-such-file.json")).unwrap_err().to_string().contains("no-such-file.json"));
}
