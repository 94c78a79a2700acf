//! Where the workspace is and which packages it has.

use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, Package};

use crate::process::{Failure, Invocation};

/// The workspace as `cargo metadata` describes it; dependencies are the declared ones.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    packages: Vec<Package>,
}

impl Workspace {
    /// Reads the metadata of the workspace around the current directory.
    pub(crate) fn load() -> Result<Self, Failure> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .exec()
            .map_err(|error| Failure::Check(format!("cargo metadata: {error}")))?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
            packages: metadata.packages,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The build folder; everything that a command leaves behind is below it.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// A package's folder relative to the root, with `/` between its parts.
    pub(crate) fn folder(&self, package: &Package) -> String {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().unwrap_or(manifest);
        let relative = folder.strip_prefix(&self.root).unwrap_or(folder);
        relative.to_string_lossy().replace('\\', "/")
    }

    /// A `cargo` invocation in the root, arguments separated by spaces.
    pub(crate) fn cargo(&self, args: &str) -> Invocation {
        Invocation::new("cargo", &self.root).args(args.split_whitespace())
    }
}
