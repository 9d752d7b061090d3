//! Levels: the environments that an agent is trained on, which of them to play next, and new ones like them.
//!
//! | what | where |
//! |---|---|
//! | which level to play next, for any trainer ([`LevelSampler`], [`Replay`]) | `sampler` |
//! | tile maps and their text ([`Grid`]) | `grid` |
//! | new levels from given ones ([`LevelGenerator`], [`Vae`], [`RandomEdits`], [`UniformRandom`]) | `generators`, `vae` |
//! | what levels are like ([`Likeness`]) | `likeness` |
//! | ready families of levels ([`Family`]) | `families` |
//! | the world in which an agent walks ([`World`]) | `world` |
//! | an agent and its training on a stream of levels ([`Ppo`], [`Learner`], [`Curriculum`]) | `agent`, `ppo` |
//! | levels and their replay as such a stream ([`LevelBuffer`]) | `buffer` |

mod agent;
mod buffer;
mod families;
mod generators;
mod grid;
mod likeness;
mod ppo;
mod sampler;
mod vae;
mod world;

pub use agent::Agent;
pub use buffer::LevelBuffer;
pub use families::{Family, draw_levels};
pub use generators::{LevelGenerator, RandomEdits, UniformRandom};
pub use grid::{Grid, Tile, arrow};
pub use likeness::{Likeness, pattern_divergence};
pub use ppo::{Curriculum, Learner, Ppo, Rehearsal, advantages, rehearse};
pub use sampler::{
    Episode, LevelSampler, LevelState, Partial, Replay, ReplayState, Schedule, Steps, Strategy, Transform,
};
pub use vae::{Vae, VaeTrainer, slerp};
pub use world::{Action, Outcome, Rules, Seen, World};
