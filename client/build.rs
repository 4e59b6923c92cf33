//! Hands the target that is compiled for to the note in the program.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo sets it for build scripts and for nobody else.
    println!("cargo::rustc-env=FLINKRS_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
