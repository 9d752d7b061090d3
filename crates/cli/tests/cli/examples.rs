//! The lines that a verb's help ends with, run as they stand.

use crate::common::{Folder, Numbers};

const VERBS: [&str; 36] = [
    "list",
    "show",
    "data list",
    "data show",
    "data convert",
    "audit",
    "select",
    "balance",
    "sample",
    "split",
    "order",
    "compare",
    "solve",
    "reconstruct",
    "reconstruct train",
    "nufft",
    "denoise",
    "diffuse sample",
    "diffuse search",
    "diffuse certify",
    "retrieve index",
    "retrieve add",
    "retrieve delete",
    "retrieve search",
    "retrieve mine",
    "retrieve eval",
    "retrieve compare",
    "retrieve embed",
    "retrieve train",
    "retrieve recommend",
    "retrieve compose",
    "retrieve describe",
    "train",
    "predict",
    "eval",
    "check",
];

#[test]
fn the_examples_of_every_verb_run() {
    let folder = Folder::new("examples");
    let mut numbers = Numbers::new(5);
    let mut train = String::from("age,city,label\n");
    for i in 0..120 {
        let age = if i % 20 == 7 { String::new() } else { format!("{:.2}", 20.0 + 60.0 * numbers.next()) };
        train.push_str(&format!("{age},{},{}\n", ["Oslo", "Rome"][i % 2], if i % 4 == 0 { "rare" } else { "common" }));
    }
    folder.write("train.csv", &train);
    folder.write("choose.sh", crate::certify::CHOOSE);
    crate::retrieve::write_rankings(&folder);
    crate::search::write_documents(&folder);
    crate::retriever::write_task(&folder);
    crate::recommend::write_ratings(&folder);
    crate::composed::write_pairs(&folder);
    crate::reconstruct::write_measured(&folder);
    crate::denoise::write_photographs(&folder);
    folder.write_encoder();
    for verb in VERBS {
        let help = folder.ok(&format!("quadrat {verb} --help"));
        let lines: Vec<&str> = help.split("Examples:").nth(1).unwrap_or_default().lines().map(str::trim).collect();
        let lines: Vec<&str> = lines.into_iter().filter(|line| line.starts_with("quadrat ")).collect();
        assert!(!lines.is_empty(), "{verb}: no example\n{help}");
        for line in lines {
            assert!(line.starts_with(&format!("quadrat {verb}")), "{line}");
            // Elsewhere there is no `sh`.
            if cfg!(unix) || !line.contains("sh choose.sh") {
                folder.ok(line);
            }
        }
    }
}

#[test]
fn the_methods_parameters_stand_above_the_examples() {
    let folder = Folder::new("examples-method");
    let help = folder.ok("quadrat balance --method smote --help");
    let (parameters, examples) = (help.find("Parameters of smote").unwrap(), help.find("Examples:").unwrap());
    assert!(parameters < examples, "{help}");
}
