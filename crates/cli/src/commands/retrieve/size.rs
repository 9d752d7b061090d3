//! What an index has come to, as `retrieve index`, `add` and `delete` say it.

use crate::output::{Reply, bytes, count, seconds};
use quadrat::retrieval::{Index, VectorIndex};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// What an index has come to.
pub struct Size {
    /// Documents, segments, bytes, and what else there is to say of it.
    documents: usize,
    segments: usize,
    bytes: usize,
    more: String,
    value: Value,
}

impl Size {
    /// Of an index of words.
    pub fn of_words(index: &Index) -> Size {
        let (postings, bytes_of_postings) = (index.postings(), index.size().0);
        Size {
            documents: index.len(),
            segments: index.segments(),
            bytes: index.size().1,
            more: format!(
                "of {:.1} words on average, {} postings in {}",
                index.mean_length(),
                count(postings),
                bytes(bytes_of_postings as f64)
            ),
            value: json!({
                "kind": if index.has_impacts() { "impacts" } else { "bm25" },
                "mean_length": index.mean_length(),
                "postings": postings,
                "posting_bytes": bytes_of_postings,
            }),
        }
    }

    /// Of an index of vectors.
    pub fn of_vectors(index: &VectorIndex) -> Size {
        Size {
            documents: index.len(),
            segments: index.segments(),
            bytes: index.size(),
            more: format!("of {} numbers each", count(index.columns())),
            value: json!({ "kind": "dense", "columns": index.columns(), "encoder": index.encoder() }),
        }
    }

    /// What is said of it.
    pub fn reply(self, folder: &Path, said: String, started: Instant, value: Value) -> Reply {
        let Size { documents, segments, bytes: all, more, value: mut told } = self;
        let took = started.elapsed().as_secs_f64();
        let text = format!(
            "{said} in {}\n{}: {} documents {more}, {} in all, {} segment{}\n",
            seconds(took),
            folder.display(),
            count(documents),
            bytes(all as f64),
            segments,
            if segments == 1 { "" } else { "s" },
        );
        if let (Value::Object(told), Value::Object(value)) = (&mut told, value) {
            told.extend(value);
        }
        told["index"] = json!(folder);
        told["documents"] = documents.into();
        told["bytes"] = all.into();
        told["segments"] = segments.into();
        told["seconds"] = took.into();
        Reply::new(text, told)
    }
}
