//! Makes a program of the Rust examples in `docs/sso.md`, which the tests run.

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../docs/sso.md");
    println!("cargo::rerun-if-changed={}", page.display());
    let text = fs::read_to_string(page)?;
    let blocks = text.split("```rust,ignore\n").skip(1).filter_map(|rest| rest.split("```").next());
    let body: String = blocks.collect();
    let program =
        format!("async fn examples(ctx: Context) -> Result<(), SsoError> {{\n{body}Ok(())\n}}\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("sso_examples.rs"), program)?;
    Ok(())
}
