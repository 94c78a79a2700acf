//! Arguments of `spanwire enmasse`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum Enmasse {
    /// Create and update objects as files say: all of it, or nothing.
    Import(Import),
    /// Print the objects, or write them to a file that can be imported.
    Export(Export),
    /// Print what an import with --replace would change; nothing if nothing.
    Diff(Diff),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Update objects that exist, too; otherwise they stay as they are.
    #[arg(long, alias = "replace-odb-objects")]
    pub(crate) replace: bool,
    /// Delete objects that carry the label and that the files do not have.
    #[arg(long, requires = "label")]
    pub(crate) prune: bool,
    /// The label that the objects of these files carry.
    #[arg(long)]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) change: Change,
    /// Do not ask before deleting.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Export {
    /// The file to write; printed if not given.
    #[arg(long, value_name = "OUT")]
    pub(crate) file: Option<PathBuf>,
    /// How it is written [default: as the file's name says, otherwise yaml].
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExportFormat>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Secrets in clear; a file is readable by its owner only then.
    #[arg(long)]
    pub(crate) reveal_secrets: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Files of objects.
#[derive(Debug, ClapArgs)]
pub(crate) struct Files {
    /// Files of objects, YAML or JSON; what they include is read, too.
    #[arg(value_name = "FILE", required_unless_present = "input")]
    files: Vec<PathBuf>,
    /// An older way to name a file.
    #[arg(long, value_name = "FILE", hide = true)]
    input: Vec<PathBuf>,
}

impl Files {
    /// Every file, in the order of the arguments.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().chain(&self.input).cloned().collect()
    }
}

/// Which objects.
#[derive(Debug, ClapArgs)]
pub(crate) struct Selection {
    /// Only objects of these kinds; also `rest`, `websockets` and `pubsub` for several at once.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) include_type: Vec<String>,
    /// Only objects of these names; `*` is any text.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) include_name: Vec<String>,
}

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

impl ExportFormat {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }
}
