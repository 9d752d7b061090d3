//! Models after their training: how good they are, what they say of new rows, and going on from them.

use crate::common::{Folder, Numbers};

/// Rows of two numbers and a word; one in twelve is `ill`, which the first number tells most of the time.
fn rows(n: usize, seed: u64, cities: &[&str]) -> String {
    let mut numbers = Numbers::new(seed);
    let mut text = String::from("a,b,city,y\n");
    for i in 0..n {
        let ill = i % 12 == 0;
        let (a, b) = (numbers.next() + if ill { 0.7 } else { 0.0 }, numbers.next());
        let y = if ill { "ill" } else { "well" };
        text.push_str(&format!("{a:.4},{b:.4},{},{y}\n", cities[i % cities.len()]));
    }
    text
}

const CITIES: [&str; 2] = ["Oslo", "Rome"];

/// A folder with training rows and a model of them.
fn trained(name: &str, options: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("train.csv", &rows(360, 1, &CITIES));
    folder
        .ok(&format!("quadrat train --in train.csv --target y --hidden 16 --epochs 15 --rate 0.01 --out m {options}"));
    folder
}

#[test]
fn a_rare_class_is_judged_by_itself() {
    let folder = trained("eval", "");
    folder.write("test.csv", &rows(240, 2, &CITIES));
    let said = folder.json("quadrat eval --model m --in test.csv --json");
    let figure = |name: &str| said["figures"][name].as_f64().unwrap_or_else(|| panic!("{name}: {said}"));
    assert!((figure("majority") - 220.0 / 240.0).abs() < 1e-12);
    let classes = said["classes"].as_array().unwrap();
    let recalls: Vec<f64> = classes.iter().map(|c| c["recall"].as_f64().unwrap()).collect();
    assert!((figure("balanced-accuracy") - (recalls[0] + recalls[1]) / 2.0).abs() < 1e-12);
    assert_eq!((classes[0]["class"].as_str(), classes[0]["support"].as_u64()), (Some("ill"), Some(20)));
    let auc: Vec<f64> = classes.iter().map(|c| c["auc"].as_f64().unwrap()).collect();
    assert!((auc[0] - auc[1]).abs() < 1e-12 && (figure("auc") - auc[0]).abs() < 1e-12, "of two classes both are one");
    let precision = |c: usize| classes[c]["average-precision"].as_f64().unwrap();
    assert!((figure("average-precision") - (precision(0) + precision(1)) / 2.0).abs() < 1e-12);
    for name in ["macro-f1", "accuracy", "nll", "ece"] {
        assert!((0.0..=2.0).contains(&figure(name)), "{name}");
    }
    let confusion: Vec<Vec<u64>> = serde_json::from_value(said["confusion"].clone()).unwrap();
    assert_eq!(confusion.iter().map(|row| row.iter().sum::<u64>()).collect::<Vec<_>>(), [20, 220]);
    assert!((confusion[0][0] as f64 / 20.0 - recalls[0]).abs() < 1e-12);

    let text = folder.ok("quadrat eval --model m --in test.csv --report r.html");
    for part in ["balanced-accuracy", "majority", "average precision", "is / taken for", "precision", "recall"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let page = folder.read("r.html");
    for heading in ["Class by class", "Confusion", "Reliability"] {
        assert!(page.contains(heading), "{heading}");
    }
    // A part in which a class is absent has figures of the others, and says so.
    let well: String = rows(60, 3, &CITIES).lines().filter(|l| !l.ends_with("ill")).map(|l| format!("{l}\n")).collect();
    folder.write("well.csv", &well);
    let said = folder.json("quadrat eval --model m --in well.csv --json");
    assert!(
        said["figures"]["auc"].is_null() && said["notes"][0].as_str().unwrap().contains("no row of `ill`"),
        "{said}"
    );
    // Training reports the same.
    let said = folder.json("quadrat train --in train.csv --target y --hidden 4 --epochs 2 --json");
    assert!(said["figures"]["balanced-accuracy"].is_number() && said["classes"].is_array(), "{said}");
}

#[test]
fn numbers_have_figures_of_their_own_also_a_constant() {
    let folder = Folder::new("eval-numbers");
    let line = |i: usize| format!("{i},{}.5,3.7\n", 2 * i);
    folder.write("line.csv", &format!("x,y,c\n{}", (0..120).map(line).collect::<String>()));
    folder.ok("quadrat train --in line.csv --target y --features x --hidden 16 --epochs 40 --rate 0.01 --out m");
    let said = folder.json("quadrat eval --model m --in line.csv --report r.html --json");
    let figure = |name: &str| said["figures"][name].as_f64().unwrap();
    assert!(figure("r2") > 0.9 && figure("rmse") >= figure("mae"), "{said}");
    assert!((figure("pinball") - figure("mae") / 2.0).abs() < 1e-9 && said["quantile"] == 0.5);
    assert!(folder.read("r.html").contains("What is left over"));
    let said =
        folder.json("quadrat train --in line.csv --target c --features x --regression --hidden 4 --epochs 2 --json");
    let r2 = said["figures"]["r2"].as_f64().unwrap();
    assert!(r2 == 0.0 || r2 == 1.0, "{said}");
    assert!(said["notes"][0].as_str().unwrap().contains("the same value"), "{said}");
}

#[test]
fn values_that_the_model_never_saw_are_counted() {
    let folder = trained("unseen", "");
    folder.write("new.csv", &rows(30, 4, &["Oslo", "Bonn", "Paris"]));
    let text = folder.ok("quadrat predict --model m --in new.csv --out said.csv");
    assert!(text.contains("in `city` 20 rows have 2 values") && text.contains("`Bonn`"), "{text}");
    let json = folder.json("quadrat predict --model m --in new.csv --out said.csv --json");
    assert_eq!((json["unseen"][0]["column"].as_str(), json["unseen"][0]["rows"].as_u64()), (Some("city"), Some(20)));
    assert!(folder.ok("quadrat eval --model m --in new.csv").contains("20 rows have 2 values"));
    let json = folder.json("quadrat predict --model m --in train.csv --out said.csv --json");
    assert_eq!(json["unseen"], serde_json::json!([]));
}

/// What fills gaps is learnt with the model, from its training rows.
#[test]
fn a_model_fills_gaps_as_its_training_rows_taught_it() {
    let folder = Folder::new("gaps");
    let mut numbers = Numbers::new(9);
    let mut text = String::from("a,city,y\n");
    for i in 0..201 {
        let (a, y) = (i as f64 / 10.0 + numbers.next() / 100.0, if i > 120 { "late" } else { "early" });
        let cell = if i == 100 || i % 40 == 7 { String::new() } else { format!("{a:.3}") };
        let city = if i % 50 == 3 { "" } else { ["Oslo", "Rome", "Rome"][i % 3] };
        text.push_str(&format!("{cell},{city},{y}\n"));
    }
    folder.write("train.csv", &text);
    let line = "quadrat train --in train.csv --target y --hidden 8 --epochs 4 --rate 0.01 --validation 0";
    let refused = folder.fails(line);
    for part in ["`a` (6)", "`city` (4)", "--missing impute", "--exclude"] {
        assert!(refused.contains(part), "{part}\n{refused}");
    }
    let middle = |text: &str| {
        let mut values: Vec<f64> = text.lines().skip(1).filter_map(|l| l.split(',').next()?.parse().ok()).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    let said = folder.json(&format!("{line} --missing impute --out filled --json"));
    let warnings = said["warnings"].to_string();
    assert!(warnings.contains("the median") && warnings.contains("`Rome`"), "{said}");
    folder.write("gaps.csv", "city,a\n,1.5\nOslo,\n,\n");
    folder.write("full.csv", &format!("city,a\nRome,1.5\nOslo,{0}\nRome,{0}\n", middle(&text)));
    let probabilities = |model: &str, rows: &str| {
        folder.ok(&format!("quadrat predict --model {model} --in {rows} --out said.csv"));
        let said = folder.read("said.csv");
        said.lines().skip(1).map(|l| l.split(',').skip(2).collect::<Vec<_>>().join(",")).collect::<Vec<_>>()
    };
    assert_eq!(probabilities("filled", "gaps.csv"), probabilities("filled", "full.csv"));
    let said = folder.json("quadrat predict --model filled --in gaps.csv --out said.csv --json");
    assert!(said["warnings"].to_string().contains("`a` (2)"), "{said}");
    assert_eq!(said["columns"]["used"][0], serde_json::json!({ "name": "a", "as": "number" }));
    let said = folder.json("quadrat eval --model filled --in train.csv --report r.html --json");
    assert!(said["warnings"].to_string().contains("missing numbers are filled"), "{said}");
    assert!(folder.read("r.html").contains("columns used"));

    // Other ways of training on the same rows, and what each model then takes.
    for (options, model) in [
        ("--impute mean", "mean"),
        ("--impute knn", "knn"),
        ("--impute indicator", "indicator"),
        ("--missing impute --validation 0.2 --balance smote-nc", "balanced"),
    ] {
        folder.ok(&format!("{} {options} --out {model}", line.replace("--validation 0", "")));
        assert_eq!(probabilities(model, "gaps.csv").len(), 3, "{model}");
    }
    folder.ok(&format!("{line} --missing drop --out dropped"));
    for command in ["predict --out said.csv", "eval"] {
        let refused = folder.fails(&format!("quadrat {command} --model dropped --in train.csv").replace("said", "new"));
        assert!(refused.contains("train.csv:5") && refused.contains("--missing drop"), "{refused}");
    }
    let said = folder.json("quadrat predict --model dropped --in train.csv --missing drop --out said.csv --json");
    assert_eq!(said["rows"], 191, "{said}");
    assert!(folder.fails("quadrat eval --model filled --in train.csv --missing impute").contains("taught"));
    // Names alone may be missing.
    folder.write("names.csv", &text.lines().filter(|l| !l.starts_with(',')).collect::<Vec<_>>().join("\n"));
    folder.ok(&format!("{} --missing category --out names", line.replace("train.csv", "names.csv")));
    folder.write("name.csv", "city,a\n,1.5\n");
    assert_eq!(probabilities("names", "name.csv").len(), 1);
    assert!(folder.fails("quadrat predict --model names --in gaps.csv --out new.csv").contains("not numbers"));
    // Going on from a model keeps what it learnt of gaps.
    folder.ok("quadrat train --in train.csv --from filled --epochs 1 --out on");
    assert_eq!(probabilities("on", "gaps.csv"), probabilities("on", "full.csv"));
}

/// A grey PNG of 8 x 8 pixels of one brightness, uncompressed.
fn picture(brightness: u8) -> Vec<u8> {
    let raw: Vec<u8> = (0..8).flat_map(|_| std::iter::once(0).chain([brightness; 8])).collect();
    let adler =
        raw.iter().fold((1u32, 0u32), |(a, b), v| ((a + u32::from(*v)) % 65521, (a + u32::from(*v) + b) % 65521));
    let length = raw.len() as u16;
    let mut zlib = vec![0x78, 0x01, 1];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(&raw);
    zlib.extend((adler.1 << 16 | adler.0).to_be_bytes());
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
        })
    };
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", vec![0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0]), (b"IDAT", zlib), (b"IEND", vec![])]
    {
        let chunk = [&kind[..], &content].concat();
        file.extend((content.len() as u32).to_be_bytes());
        file.extend(&chunk);
        file.extend(crc(&chunk).to_be_bytes());
    }
    file
}

fn pictures(folder: &Folder, name: &str, class: &str, brightness: impl Fn(u8) -> u8) {
    let place = folder.path(name).join(class);
    std::fs::create_dir_all(&place).unwrap();
    for i in 0..12 {
        std::fs::write(place.join(format!("{i}, grey.png")), picture(brightness(i))).unwrap();
    }
}

#[test]
fn what_is_said_of_images_names_their_files() {
    let folder = Folder::new("images");
    pictures(&folder, "train", "dark", |i| i);
    pictures(&folder, "train", "light", |i| 255 - i);
    folder.ok("quadrat train --images train --hidden 8 --epochs 30 --rate 0.01 --out m");
    pictures(&folder, "same", "dark", |_| 5);
    pictures(&folder, "same", "light", |_| 250);
    let said =
        folder.json("quadrat train --images same --hidden 8 --epochs 1 --rate 0.01 --json")["warnings"].to_string();
    assert!(said.contains("exact copies") && !said.contains("--groups"), "{said}");
    // A folder of a class that the model does not know is no reason not to say what the model says of it.
    pictures(&folder, "new", "light", |i| 250 - i);
    pictures(&folder, "new", "twilight", |i| 100 + i);
    folder.ok("quadrat predict --model m --images new --out said.csv");
    let said = folder.read("said.csv");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines.len()), ("file,predicted,p_dark,p_light", 25), "{said}");
    assert!(lines[1].starts_with("\"light/0, grey.png\",light,"), "{said}");
    assert!(said.contains("twilight/11, grey.png"));
    folder.ok("quadrat predict --model m --images new --out said.parquet");
    assert_eq!(folder.json("quadrat data show said.parquet --json")["rows"], 24);
    assert!(folder.fails("quadrat eval --model m --images new").contains("twilight"));
}

#[test]
fn a_model_is_trained_on_and_its_changes_come_on_and_off() {
    let folder = trained("finetune", "");
    folder.write("new.csv", &rows(120, 7, &CITIES));
    let weights = |model: &str| std::fs::read(folder.path(model).join("model.safetensors")).unwrap();
    for method in ["sara", "lora"] {
        let line = format!(
            "quadrat train --in new.csv --from m --method {method} --epochs 3 --out {method} --delta {method}.delta"
        );
        let said = folder.ok(&line);
        assert!(said.contains("the delta holds"), "{said}");
        assert_ne!(weights(method), weights("m"));
        folder.ok(&format!("quadrat apply --model m --delta {method}.delta --out {method}-on"));
        assert_eq!(weights(&format!("{method}-on")), weights(method), "{method}: on is as trained, bit for bit");
        let said = folder.json(&format!(
            "quadrat apply --model {method}-on --delta {method}.delta --remove --out {method}-off --json"
        ));
        assert_eq!(weights(&format!("{method}-off")), weights("m"), "{method}: off is as before, bit for bit: {said}");
        for (line, says) in [
            (format!("--model {method} --delta {method}.delta"), "on already"),
            (format!("--model m --delta {method}.delta --remove"), "not on"),
            (format!("--model m --delta {method}/model.safetensors"), "not a delta"),
            ("--model m --delta none".to_owned(), "none"),
        ] {
            let message = folder.fails(&format!("quadrat apply {line} --out other"));
            assert!(message.contains(says), "{line}\n{message}");
        }
    }
    let message = folder.fails("quadrat apply --model lora --delta sara.delta --out other");
    assert!(message.contains("belongs to"), "{message}");
    let thin = std::fs::metadata(folder.path("lora.delta")).unwrap().len();
    assert!(thin < 2 * weights("m").len() as u64, "{thin}");
    // All weights: the figures start from the model's.
    let on = folder.json("quadrat train --in train.csv --from m --epochs 1 --rate 1e-6 --json --out full");
    let judged = folder.json("quadrat eval --model full --in train.csv --json");
    let before = folder.json("quadrat eval --model m --in train.csv --json");
    let nll = |json: &serde_json::Value| json["figures"]["nll"].as_f64().unwrap();
    assert!((nll(&judged) - nll(&before)).abs() < 1e-3 && on["from"] == "m", "{judged} {before}");
}

/// A tenth of its twelve kernel entries is one, and that one soon leaves the band.
#[test]
fn a_network_of_a_few_weights_is_fine_tuned() {
    let folder = Folder::new("finetune-small");
    let mut numbers = Numbers::new(5);
    let lines: String = (0..80).map(|i| format!("{:.3},{}\n", numbers.next(), ["u", "v"][i % 2])).collect();
    folder.write("few.csv", &format!("x,y\n{lines}"));
    folder.ok("quadrat train --in few.csv --target y --hidden 4 --epochs 3 --out m");
    for epochs in [2, 6] {
        folder.ok(&format!(
            "quadrat train --in few.csv --from m --method sara --epochs {epochs} --delta {epochs}.delta --out {epochs}"
        ));
    }
}

#[test]
fn fine_tuning_needs_a_model_and_what_fits_it() {
    let folder = trained("finetune-errors", "");
    folder.write("other.csv", "a,b,y\n1,2,ill\n2,3,well\n");
    for (line, says) in [
        ("--in train.csv --target y --method sara", "--from"),
        ("--in train.csv --target y --method lora:rank=2", "random weights"),
        ("--in train.csv --from m --method lora --method sara", "one way"),
        ("--in train.csv --from m --delta d", "sara"),
        ("--in train.csv --target y --delta d", "--from"),
        ("--in train.csv --target a --from m", "the model predicts `y`"),
        ("--in train.csv --from m --hidden 8", "--hidden"),
        ("--in other.csv --from m", "city"),
        ("--in train.csv --from nowhere", "nowhere"),
        ("--images m --from m", "--in"),
    ] {
        let message = folder.fails(&format!("quadrat train {line} --out out"));
        assert!(message.contains(says), "{line}\n{message}");
    }
}

#[test]
fn a_network_is_pruned_round_by_round_and_adapted() {
    let folder = Folder::new("tickets");
    pictures(&folder, "train", "dark", |i| i);
    pictures(&folder, "train", "light", |i| 255 - i);
    pictures(&folder, "task", "grey", |i| 100 + i);
    pictures(&folder, "task", "white", |i| 240 + i);
    folder.ok("quadrat train --images train --hidden 8 --epochs 2 --out m");
    let line = "quadrat tickets --model m --images train --rounds 2 --epochs 20 --rate 0.01 --task task";
    let said = folder.json(&format!("{line} --out tickets --json"));
    let states = said["states"].as_array().unwrap();
    let density: Vec<f64> = states.iter().map(|s| s["density"].as_f64().unwrap()).collect();
    assert!((density[0] - 1.0).abs() < 1e-12 && (density[2] - 0.64).abs() < 0.01, "{density:?}");
    for state in states {
        for arm in ["own task", "new task, probe", "new task, prompt"] {
            assert!(state["judged"][arm]["balanced-accuracy"].is_number(), "{arm}: {said}");
        }
    }
    folder.json("quadrat eval --model tickets/state-2 --images train --json");
    assert!(folder.ok(line).contains("new task, prompt"));
    pictures(&folder, "three", "a", |i| i);
    pictures(&folder, "three", "b", |i| 100 + i);
    pictures(&folder, "three", "c", |i| 240 + i);
    let said = folder.ok("quadrat tickets --model m --images train --rounds 1 --epochs 20 --task three");
    assert!(said.contains("no prompt was learnt"), "{said}");
    for (line, says) in [
        ("--images train --prune 1", "between 0 and 1"),
        ("--images train --task nowhere", "nowhere"),
        ("--in train", "--images"),
    ] {
        let message = folder.fails(&format!("quadrat tickets --model m {line} --rounds 1 --epochs 20"));
        assert!(message.contains(says), "{line}\n{message}");
    }
    // Rows of a table take another column as the new task.
    let folder = trained("tickets-table", "");
    let line = "quadrat tickets --model m --in train.csv --rounds 1 --epochs 4 --task train.csv";
    let said = folder.json(&format!("{line} --task-target city --json"));
    assert!(said["states"][1]["judged"]["new task, probe"]["nll"].is_number(), "{said}");
    let used = said["columns"]["used"].as_array().unwrap();
    assert!(used.iter().any(|column| column["as"] == "number") && used.last().unwrap()["as"] == "target", "{said}");
    assert!(folder.fails(line).contains("--task-target"));
}

#[test]
fn a_small_network_with_few_bits_is_found_for_ones_own_images() {
    let folder = Folder::new("quantise");
    pictures(&folder, "own", "a", |i| 20 * i);
    let line = "quadrat quantise --images own --size 8 --epochs 2 --train-epochs 2";
    let said = folder.json(&format!("{line} --out small.safetensors --json"));
    assert_eq!(said["genotype"]["choices"].as_array().unwrap().len(), 8);
    assert!(said["bit_operations"].as_f64().unwrap() > 0.0 && said["held_back"] == 2, "{said}");
    folder.ok("quadrat enlarge --model small.safetensors --images own --out larger");
    let names = |folder: std::path::PathBuf| {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(folder.path("larger/a")), names(folder.path("own/a")));
    // Any size will do: the larger image once more.
    let one = "quadrat enlarge --model small.safetensors --images";
    let said = folder.json(&format!("{one} \"larger/a/0, grey.png\" --out once-more.png --json"));
    assert_eq!((&said["images"], &said["scale"]), (&1.into(), &2.into()));
    folder.ok("quadrat train --images larger --size 8 --epochs 1 --classes --out m");
    for (line, says) in [
        ("own --out small.safetensors", "exists"),
        ("\"larger/a/0, grey.png\" --out large.jpg", ".png"),
        ("nothing.png --out large.png", "nothing.png"),
    ] {
        let message = folder.fails(&format!("{one} {line}"));
        assert!(message.contains(says), "{line}\n{message}");
    }
    let text = folder.ok(line);
    assert!(text.contains("bicubic") && text.contains("cell1.1"), "{text}");
    for (options, says) in [("--size 9", "multiple"), ("--scale 1", "multiple"), ("--epochs 0", "epochs")] {
        let message = folder.fails(&format!("quadrat quantise --images own {options}"));
        assert!(message.contains(says), "{options}\n{message}");
    }
}
