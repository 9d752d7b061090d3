//! The machine line that every recorded result carries.

use serde::{Deserialize, Serialize};

/// On what a result was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The processor's own name.
    pub processor: String,
    /// The widest vector instructions it offers.
    pub vector: String,
    /// Cores the process may use.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
    /// Quadrat's version.
    pub quadrat: String,
    /// The compiler that built it.
    pub rustc: String,
}

impl Environment {
    /// This machine and this build.
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split(':').nth(1)))
            .map_or_else(|| "unknown processor".to_owned(), |name| name.trim().to_owned());
        Environment {
            processor,
            vector: vector().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            quadrat: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: env!("QUADRAT_RUSTC").to_owned(),
        }
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Environment { processor, vector, cores, system, quadrat, rustc } = self;
        write!(f, "{processor} ({vector}), {cores} cores, {system}; quadrat {quadrat}, {rustc}")
    }
}

#[cfg(target_arch = "x86_64")]
fn vector() -> &'static str {
    if is_x86_feature_detected!("avx512f") {
        "AVX-512"
    } else if is_x86_feature_detected!("avx2") {
        "AVX2"
    } else {
        "SSE2"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vector() -> &'static str {
    std::env::consts::ARCH
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_line_names_processor_cores_and_versions() {
        let here = super::Environment::here();
        let line = here.to_string();
        assert!(line.contains("cores") && line.contains("rustc") && here.cores >= 1, "{line}");
    }
}
