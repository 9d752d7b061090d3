//! `quadrat retrieve eval`: a run and judgements -> how good the run is.

use crate::args::Run;
use crate::output::Reply;
use clap::Args;
use quadrat::{Progress, Result};

#[derive(Args, Debug)]
pub struct Eval {
    #[command(flatten)]
    pub run: Run,
}

pub fn run(_args: &Eval, _progress: &dyn Progress) -> Result<Reply> {
    Ok(Reply::new(String::new(), serde_json::json!({})))
}
