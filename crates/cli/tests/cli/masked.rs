//! `quadrat language train --model masked` and `generate` with such a model.

use crate::common::Folder;
use std::fmt::Write as _;

#[test]
fn a_masked_model_is_trained_and_drawn_from() {
    let folder = Folder::new("masked");
    let mut text = String::new();
    for i in 0..300 {
        let _ =
            writeln!(text, "the {} of the {} went by", ["sea", "hill", "road"][i % 3], ["day", "king", "bee"][i % 3]);
    }
    folder.write("corpus.txt", &text);
    let told = folder.json(
        "quadrat language train --text corpus.txt --model masked --layers 1 --dim 32 --vocabulary 270 --context 16 --epochs 2 \
         --out mdm --json",
    );
    assert_eq!(told["kind"], "masked");
    let line = "quadrat language generate --model mdm --method first-hitting --length 12 --rows 3 --json";
    let told = folder.json(line);
    assert_eq!((&told["texts"], &told["calls"]), (&3.into(), &12.0.into()));
    assert!(told["entropy"].as_f64().unwrap() > 0.0);
    assert_eq!(folder.json(line)["rows"], told["rows"], "the same seed, the same texts");
    let asked = folder.json(
        "quadrat language generate --model mdm --prompt \"the sea\" --temperature 0.5 --top-p 0.9 \
         --method first-hitting:calls=2,order=second --json",
    );
    assert!(asked["rows"][0]["text"].as_str().unwrap().starts_with("the sea") && asked["calls"] == 2.0);
    for (options, part) in [
        ("--length 17", "at most 16, the model's context"),
        ("--method spectr", "first-hitting: the model is a masked one"),
        ("--method first-hitting:pace=2", "pace"),
        ("--top-k 5", "the model is a masked one"),
        ("--stop now", "the model is a masked one"),
        ("--method first-hitting:calls=40", "1 to 16, the number of hidden places"),
        ("--rows 0", "at least 1"),
        ("--prompt \"the sea of the day of the hill\" --length 2", "give a larger --length"),
    ] {
        let error = folder.fails(&format!("quadrat language generate --model mdm {options}"));
        assert!(error.contains(part), "{options}: {error}");
    }
}
