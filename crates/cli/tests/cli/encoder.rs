//! Texts by a sentence encoder.

use crate::common::{Folder, pool_jsonl};
use std::fs;

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write_encoder();
    folder.write("pool.jsonl", &pool_jsonl(600));
    folder.write(
        "docs.jsonl",
        concat!(
            "{\"title\": \"the red wine\", \"body\": \"is on the table\"}\n",
            "{\"title\": \"\", \"body\": null}\n",
            "{\"title\": \"A long road\", \"body\": \"to the sea and on and on and on and on and on and on and on and on and on and on and on\"}\n"
        ),
    );
    folder
}

#[test]
fn texts_become_vectors_once() {
    let folder = folder("embed");
    let line = "quadrat retrieve embed --in docs.jsonl --text title,body --encoder minilm/ --out vectors.npy";
    let first = folder.json(&format!("{line} --json"));
    for (key, value) in [("rows", 3), ("dims", 32), ("truncated", 1), ("cached", 0), ("longest", 24)] {
        assert_eq!(first[key], value, "{first}");
    }
    assert!(first["tokens"].as_u64().unwrap() > 30 && first["warnings"].to_string().contains("1 of 3 texts go beyond"));
    let bytes = fs::read(folder.path("vectors.npy")).unwrap();
    let numbers = &bytes[bytes.len() - 3 * 32 * 4..];
    for row in numbers.chunks_exact(32 * 4) {
        let values = row.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        assert!((values.map(|v| f64::from(v).powi(2)).sum::<f64>() - 1.0).abs() < 1e-5);
    }
    let second = folder.json(&format!("{line} --json --threads 1"));
    assert_eq!((&second["cached"], &second["tokens"]), (&3.into(), &0.into()));
    assert_eq!(fs::read(folder.path("vectors.npy")).unwrap(), bytes);
    fs::remove_dir_all(folder.cache()).unwrap();
    assert!(folder.ok(&format!("{line} --threads 1")).contains("3 texts of docs.jsonl to 32 numbers each"));
    assert_eq!(fs::read(folder.path("vectors.npy")).unwrap(), bytes);
    let shown = folder.json("quadrat data show vectors.npy --json");
    assert_eq!(shown["rows"], 3, "{shown}");
}

#[test]
fn rows_are_chosen_split_and_compared_by_a_model() {
    let folder = folder("encoder-select");
    let line = "quadrat select --in pool.jsonl --text instruction --encoder minilm/ --method facility-location";
    folder.ok(&format!("{line} --budget 500 --out subset.jsonl"));
    assert_eq!(folder.read("subset.jsonl").lines().count(), 500);
    let by_model = folder.json(&format!("{line} --budget 20 --json"));
    let by_words =
        folder.json("quadrat select --in pool.jsonl --text instruction --method facility-location --budget 20 --json");
    assert_ne!(by_model["indices"], by_words["indices"]);
    // By the vectors of `embed` the same rows come out.
    folder.ok("quadrat retrieve embed --in pool.jsonl --text instruction --encoder minilm --out v.npy");
    let by_vectors =
        folder.json("quadrat select --in pool.jsonl --embedding v.npy --method facility-location --budget 20 --json");
    assert_eq!(by_model["indices"], by_vectors["indices"]);
    folder.ok("quadrat split --in pool.jsonl --text instruction --encoder minilm/ --folds 2 --out folds");
}

#[test]
fn what_cannot_be_used_is_said_and_nothing_is_left_behind() {
    let folder = folder("encoder-bad");
    let select = "quadrat select --in pool.jsonl --text instruction --method k-center --budget 5 --out s.jsonl";
    let embed = "quadrat retrieve embed --in docs.jsonl --text title";
    for (line, parts) in [
        (format!("{select} --encoder nowhere"), &["nowhere", "no such folder"][..]),
        (format!("{select} --encoder minilm --text-dim 8"), &["--text-dim"]),
        (format!("{embed} --encoder minilm/1_Pooling --out v.npy"), &["minilm/1_Pooling", "model_type"]),
        (format!("{embed} --encoder minilm --out v.csv"), &["v.csv", ".npy"]),
        (format!("{embed} --encoder pool.jsonl --out v.npy"), &["pool.jsonl", "no such folder"]),
        (embed.replace("title", "titel") + " --encoder minilm --out v.npy", &["titel", "title"]),
    ] {
        let message = folder.fails(&line);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}\n{message}");
    }
}
