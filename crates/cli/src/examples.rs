//! The end of a verb's `--help`: lines that run as they stand. A test runs them all, in this order. (Verbs whose help
//! explains more than options have examples of their own there.)

use clap::Command;

/// Verbs, and lines for each. `train.csv` is whatever the reader has: a table with a column `label` and some gaps;
/// `choose.sh` is a program of theirs, `docs.jsonl` has texts, `ratings.csv` says who liked which row of `items.csv`, `minilm` is a
/// sentence encoder, `said.txt` a text, `judge` a program that compares answers, `tasks.jsonl` has problems and programs, `run.trec`, `bm25.trec`
/// and `qrels.txt` are rankings and judgements, `refs.npy` and `targets.npy` rows of features, `k.npy` and `s.npy` samples of k-space on a
/// grid and on `traj.npy`, `noisy` is a folder of photographs.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("list", &["quadrat list \"too few examples of one class\"", "quadrat list"]),
    ("show", &["quadrat show smote", "quadrat show mig --json"]),
    ("data list", &["quadrat data list"]),
    ("data show", &["quadrat data show train.csv", "quadrat data show builtin:iris --json"]),
    ("data convert", &["quadrat data convert --in train.csv --out train.parquet"]),
    (
        "audit",
        &[
            "quadrat audit --in builtin:letter --target class --report audit.html --json",
            "quadrat audit --in train.csv --target label --suspects suspects.csv",
        ],
    ),
    (
        "select",
        &[
            "quadrat select --in builtin:letter --method k-center --budget 1% --out chosen.csv",
            "quadrat select --in train.csv --method stratified --target label --budget 50 --missing drop --out some.csv",
            "quadrat select --in builtin:glosses --text text --method facility-location --budget 20 --json",
        ],
    ),
    (
        "balance",
        &[
            "quadrat balance --in builtin:pima --target class --method smote --out balanced.csv --report balanced.html",
            "quadrat balance --in train.csv --target label --method smote-nc --missing impute --out even.csv",
            "quadrat balance --method smote --help",
        ],
    ),
    (
        "sample",
        &[
            "quadrat sample --in builtin:iris --method perturbed-likelihood --rows 20 --steps 50 --out new.csv",
            "quadrat sample --in builtin:iris --features petal_length,petal_width --method perturbed-likelihood --rows 20 --steps 50",
        ],
    ),
    (
        "split",
        &[
            "quadrat split --in builtin:iris --target class --folds 3 --out folds",
            "quadrat split --in train.csv --target label --missing drop --folds 2 --json",
        ],
    ),
    (
        "order",
        &[
            "quadrat order --rows 1000 --fraction 10% --epochs 3 --out order.npy",
            "quadrat order --in builtin:iris --target class --draw stratified --fraction 20%",
        ],
    ),
    (
        "compare",
        &[
            "quadrat compare --in builtin:iris --target class --methods k-center,herding --budgets 10% --seeds 2 --visits 1000",
            "quadrat compare --in train.csv --target label --missing drop --methods k-center --budgets 20 --seeds 2 --visits 500",
        ],
    ),
    (
        "retrieve embed",
        &["quadrat retrieve embed --in docs.jsonl --text title,body --encoder minilm/ --out vectors.npy"],
    ),
    (
        "train",
        &[
            "quadrat train --in builtin:iris --target class --epochs 5 --out model",
            "quadrat train --in builtin:diabetes --target target --epochs 2 --method mixup",
        ],
    ),
    ("predict", &["quadrat predict --model model --in builtin:iris --out predicted.csv"]),
    ("retrieve index", &["quadrat retrieve index --in docs.jsonl --id id --text title,body --kind bm25 --out texts"]),
    (
        "retrieve mine",
        &["quadrat retrieve mine --queries queries.tsv --qrels judged.txt --index texts --k 1 --out negatives.jsonl"],
    ),
    ("retrieve add", &["quadrat retrieve add --index texts --in more.jsonl"]),
    ("retrieve delete", &["quadrat retrieve delete --index texts --ids gone.txt"]),
    (
        "retrieve search",
        &[
            "quadrat retrieve search --index texts --query \"spark ignition engines\" --k 10",
            "quadrat retrieve search --index texts --queries queries.tsv --only ids.txt --prf rm3 --out found.trec",
        ],
    ),
    (
        "retrieve train",
        &[
            "quadrat retrieve train --queries asked.tsv --qrels answers.txt --in parts.jsonl --text title,body --method star:mined=50 --method adore:k=50 --out encoder",
            "quadrat retrieve train --queries asked.tsv --qrels answers.txt --in parts.jsonl --text title,body --method star:mined=50 --method inference-free-sparse:lambda=0.1,rate=0.002 --out sparse",
            "quadrat retrieve train --index encoder --queries asked.tsv --qrels answers.txt --method lol-prf:temperature=2 --out rewriter",
            "quadrat retrieve train --interactions ratings.csv --weight rating --at-least 4 --method item-knn --out liked",
            "quadrat retrieve train --interactions ratings.csv --items items.csv --user user_id --item item_id --method ssl-item-recommendation --out rec",
            "quadrat retrieve train --queries refs.npy --words words.txt --targets targets.npy --method multi-grained-uncertainty --out cir",
        ],
    ),
    ("retrieve recommend", &["quadrat retrieve recommend --model rec --user 17 --k 20"]),
    (
        "retrieve compose",
        &[
            "quadrat retrieve compose --model cir --queries refs.npy --words words.txt --out composed.npy",
            "quadrat retrieve compose --model cir --targets targets.npy --out gallery.npy",
        ],
    ),
    (
        "retrieve describe",
        &["quadrat retrieve describe --tags tags.jsonl --examples examples.jsonl --method analogy --out said.txt"],
    ),
    ("retrieve eval", &["quadrat retrieve eval --run run.trec --qrels qrels.txt --metrics ndcg@10,map --per-query"]),
    ("retrieve compare", &["quadrat retrieve compare --runs bm25.trec,run.trec --qrels qrels.txt --report runs.html"]),
    (
        "language train",
        &[
            "quadrat language train --text said.txt --model transformer --layers 1 --dim 32 --vocabulary 270 --context 16 --epochs 1 --out lm/",
        ],
    ),
    (
        "language generate",
        &[
            "quadrat language generate --model lm/ --prompt \"It was\" --tokens 20 --temperature 0.8 --top-p 0.9 --seed 1",
            "quadrat language generate --model lm/ --rows 4 --tokens 20 --method spectr --draft ngram --drafts 4 --length 4 --out out.jsonl",
        ],
    ),
    (
        "solve",
        &[
            "quadrat solve --problem builtin:reaction --method rad --candidates 200 --steps 20 --points 100 --batch 50 --depth 2 --out u.npz",
        ],
    ),
    (
        "reconstruct",
        &[
            "quadrat reconstruct --kspace k.npy --mask mask.npy --method total-variation --out image.npy --report image.html",
            "quadrat reconstruct --kspace s.npy --trajectory traj.npy --shape 16x16 --method cg --out image.npy",
        ],
    ),
    (
        "reconstruct train",
        &[
            "quadrat reconstruct train --in builtin:colin27 --size 16 --pattern lines:0.5 --features 4 --down 1 --blocks 1 --epochs 2 --out brains/",
        ],
    ),
    (
        "nufft",
        &[
            "quadrat nufft --image image.npy --trajectory traj.npy --out samples.npy",
            "quadrat nufft --adjoint --samples samples.npy --trajectory traj.npy --shape 16x16 --out image.npy",
        ],
    ),
    (
        "denoise",
        &[
            "quadrat denoise --in photo.png --size tiny --patch 60 --steps 20 --out clean.png",
            "quadrat denoise --in photo.png --method non-local-means --out clean.png",
            "quadrat denoise train --images noisy/ --size tiny --patch 40 --steps 20 --out cleaner/",
        ],
    ),
    (
        "diffuse sample",
        &[
            "quadrat diffuse sample --in builtin:iris --model kernel:0.2 --solver unipc --steps 8 --rows 100 --out drawn.csv",
        ],
    ),
    (
        "diffuse search",
        &[
            "quadrat diffuse search --in builtin:iris --model kernel:0.2 --calls 4 --evaluations 100 --noises 16 --out plan.json",
        ],
    ),
    ("diffuse certify", &["quadrat diffuse certify --solver dpmpp-2m"]),
    ("language plan", &["quadrat language plan --model lm/ --draft ngram --prompts out.jsonl"]),
    ("language verify", &["quadrat language verify --model lm/ --method spectr --variation 0.2 --json"]),
    ("language score", &["quadrat language score --model lm/ --in docs.jsonl --text title,body --out scored.jsonl"]),
    ("language diversity", &["quadrat language diversity --in out.jsonl --text text --against said.txt"]),
    ("language encode", &["quadrat language encode --model lm/ --dims 4 --in said.txt --out points.npz"]),
    ("language decode", &["quadrat language decode --model lm/ --points points.npz --out back.txt"]),
    (
        "language hyperfit",
        &[
            "quadrat language hyperfit --model lm/ --text said.txt --sequences 2 --length 16 --max-epochs 2 --out hyper/",
        ],
    ),
    (
        "language align",
        &[
            "quadrat language align --policy lm/ --prompts out.jsonl --column text --judge ./judge --steps 2 --tokens 4 --out aligned/",
        ],
    ),
    (
        "language self-sample",
        &[
            "quadrat language self-sample --tasks tasks.jsonl --epochs 2 --width 16 --layers 1 --tokens 12 --draws 5 --out solver/",
        ],
    ),
    ("eval", &["quadrat eval --model model --in builtin:iris --report eval.html"]),
    (
        "check",
        &[
            "quadrat check smote --scale smoke",
            "quadrat check smote --scale smoke --out record.json",
            "quadrat check --certify \"sh choose.sh\" --as selector --report certificate.html",
        ],
    ),
];

/// The command line with the examples under each verb's help.
pub fn under(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (verb, lines)| {
        let text = format!("Examples:\n  {}", lines.join("\n  "));
        let path: Vec<&str> = verb.split(' ').collect();
        at(command, &path, &text)
    })
}

fn at(command: Command, path: &[&str], text: &str) -> Command {
    match path {
        [] => command.after_help(text.to_owned()),
        // A build may lack some verbs.
        [verb, ..] if command.find_subcommand(verb).is_none() => command,
        [verb, rest @ ..] => command.mut_subcommand(verb, |verb| at(verb, rest, text)),
    }
}
