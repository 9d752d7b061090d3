//! Hands the compiler's version to the environment line.

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = std::process::Command::new(rustc).arg("--version").output();
    let version = version.ok().and_then(|o| String::from_utf8(o.stdout).ok()).unwrap_or_else(|| "rustc unknown".into());
    // "rustc 1.95.0 (hash date)" -> "rustc 1.95.0"
    let short: Vec<&str> = version.split_whitespace().take(2).collect();
    println!("cargo:rustc-env=QUADRAT_RUSTC={}", short.join(" "));
    println!("cargo:rerun-if-changed=build.rs");
}
