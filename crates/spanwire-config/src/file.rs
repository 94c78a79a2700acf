//! Files of objects: reading them, following their includes, taking them apart.
//!
//! A file is a mapping of kinds to lists of objects. It is read whole, at most [`MAX_FILE`] bytes,
//! from wherever [`Files`] has it.
//! Whether the objects are valid is not decided here. A text that is not in a file includes nothing:
//! whoever may send a text must not thereby read the server's files.

mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) use self::reading::{Disk, Files, without_mark};
use crate::Kind;
use crate::document::{Content, Node};
use crate::environment::{Environment, resolve};
use crate::kind::{FOREIGN, GENERIC_CONNECTION, GENERIC_OUTGOING_WSX};
use crate::normalise::RawObject;
use crate::problem::{Report, Source, did_you_mean, shown, shown_key};
use crate::value;

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 10 * 1024 * 1024;

/// The most files that one import reads, includes counted.
pub const MAX_FILES: usize = 1_000;

/// Collects the objects of files.
pub(crate) struct Loader<'a> {
    env: Environment<'a>,
    files: &'a mut dyn Files,
    pub(crate) report: Report,
    pub(crate) objects: Vec<RawObject>,
    /// The files that are being read, the including ones first.
    open: Vec<PathBuf>,
    /// The files that were read, so that a file included twice counts once.
    done: BTreeSet<PathBuf>,
}

/// Where in which file something is asked for.
struct Place<'a> {
    source: &'a Source,
    line: usize,
    /// The folder that includes are relative to; `None` for a text that is not in a file.
    folder: Option<&'a Path>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(env: Environment<'a>, files: &'a mut dyn Files) -> Self {
        Self {
            env,
            files,
            report: Report::default(),
            objects: Vec::new(),
            open: Vec::new(),
            done: BTreeSet::new(),
        }
    }

    /// Reads a file; a path that was read already is left out.
    pub(crate) fn file(&mut self, path: &Path) {
        let source = Source { file: Some(path.display().to_string()), ..Source::default() };
        self.read(path, &Place { source: &source, line: 0, folder: None }, None);
    }

    /// Takes a text apart; `name` stands for the file in messages.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        let source = Source { file: Some(name.to_owned()), ..Source::default() };
        if text.len() > MAX_FILE {
            self.report.problem(&source, 0, too_large());
        } else if let Some(root) = Node::parse(text, &source, &mut self.report) {
            self.document(root, &source, None, None);
        }
    }

    /// Reads a file for a place; `kind` is what it contains if it is included as an item.
    fn read(&mut self, path: &Path, place: &Place<'_>, kind: Option<Kind>) {
        let identity = self.files.identity(path);
        if self.open.contains(&identity) {
            let message = format!("'{}' includes itself: remove this include", path.display());
            return self.report.problem(place.source, place.line, message);
        }
        if self.done.len() >= MAX_FILES {
            let message = format!("more than {MAX_FILES} files are included: put them together");
            return self.report.problem(place.source, place.line, message);
        }
        if !self.done.insert(identity.clone()) {
            return;
        }
        match self.files.read(path, &identity) {
            Ok(text) => {
                let source = Source { file: Some(path.display().to_string()), ..Source::default() };
                if let Some(root) = Node::parse(&text, &source, &mut self.report) {
                    self.open.push(identity);
                    self.document(root, &source, path.parent(), kind);
                    self.open.pop();
                }
            }
            Err(message) => {
                let message = if place.line > 0 {
                    format!("'{}' cannot be included: {message}", path.display())
                } else {
                    message
                };
                self.report.problem(place.source, place.line, message);
            }
        }
    }

    fn document(&mut self, root: Node, source: &Source, folder: Option<&Path>, kind: Option<Kind>) {
        let (line, description, is_null) = (root.line, root.describe(), root.is_null());
        match (root.content, kind) {
            (Content::List(items), Some(kind)) => {
                items.into_iter().for_each(|item| self.item(kind, item, source, folder));
            }
            (Content::Map(entries), Some(kind))
                if entries.iter().any(|entry| matches!(&*entry.key, "name" | "endpoint_name")) =>
            {
                self.object(kind, Node { line, content: Content::Map(entries) }, source);
            }
            (Content::Map(entries), _) => {
                for entry in entries {
                    let place = Place { source, line: entry.line, folder };
                    self.section(&entry.key, entry.value, &place);
                }
            }
            _ if is_null => {}
            _ => {
                let message = format!(
                    "a file is kinds with lists of objects, like 'security:', not {description}"
                );
                self.report.problem(source, line, message);
            }
        }
    }

    /// Takes in what stands under a key at the top of a file.
    fn section(&mut self, key: &str, node: Node, place: &Place<'_>) {
        if key == "include" {
            return self.includes(node, place);
        }
        let is_empty =
            node.is_null() || matches!(&node.content, Content::List(items) if items.is_empty());
        let kind = Kind::from_key(key);
        if kind.is_none() && key != GENERIC_CONNECTION {
            if !FOREIGN.contains(&key) {
                let known = Kind::ALL.into_iter().map(Kind::as_str).chain(["include", "def_sec"]);
                let hint = match did_you_mean(key, known) {
                    hint if hint.is_empty() => {
                        let all = Kind::ALL.map(Kind::as_str).join(", ");
                        format!(": the kinds are {all}")
                    }
                    hint => hint,
                };
                let message = format!("unknown kind '{}'{hint}", shown_key(key));
                self.report.problem(place.source, place.line, message);
            } else if !is_empty {
                let message = format!("there are no '{key}' objects in Spanwire: remove them");
                self.report.problem(place.source, place.line, message);
            }
            return;
        }
        let description = node.describe();
        match node.content {
            _ if is_empty => {}
            Content::List(items) => {
                for item in items {
                    match kind.or_else(|| self.generic(&item, place.source)) {
                        Some(kind) => self.item(kind, item, place.source, place.folder),
                        None => continue,
                    }
                }
            }
            Content::Scalar(scalar) if scalar.text.starts_with(FILE_SCHEME) => {
                let path = scalar.text.trim().to_owned();
                self.include(&path, place, kind);
            }
            _ => {
                let message = format!(
                    "'{key}' is a list of objects, each beginning with '- ', not {description}"
                );
                self.report.problem(place.source, place.line, message);
            }
        }
    }

    /// Returns the kind of a generic connection.
    fn generic(&mut self, item: &Node, source: &Source) -> Option<Kind> {
        let Content::Map(entries) = &item.content else {
            return Some(Kind::OutgoingWsx);
        };
        let entry = entries.iter().find(|entry| entry.key == "type_");
        let kind = entry.map(|entry| &entry.value.content);
        if matches!(kind, Some(Content::Scalar(scalar)) if scalar.text == GENERIC_OUTGOING_WSX) {
            return Some(Kind::OutgoingWsx);
        }
        let message = format!(
            "{GENERIC_CONNECTION} objects must have 'type_: {GENERIC_OUTGOING_WSX}': others are not \
             supported, remove them"
        );
        self.report.problem(source, item.line, message);
        None
    }

    fn item(&mut self, kind: Kind, item: Node, source: &Source, folder: Option<&Path>) {
        match &item.content {
            Content::Scalar(scalar) if scalar.text.starts_with(FILE_SCHEME) => {
                let place = Place { source, line: item.line, folder };
                self.include(scalar.text.trim(), &place, Some(kind));
            }
            _ => self.object(kind, item, source),
        }
    }

    fn object(&mut self, kind: Kind, node: Node, source: &Source) {
        let source = Source { kind: Some(kind), ..source.clone() };
        let raw = RawObject::with_environment(source, node, Some(self.env), &mut self.report);
        if let Some(raw) = raw {
            self.objects.extend(raw.expand(&mut self.report));
        }
    }

    fn includes(&mut self, mut node: Node, place: &Place<'_>) {
        let mut mistakes = Vec::new();
        resolve(&mut node, self.env, &mut mistakes);
        for (line, message) in mistakes {
            self.report.field(place.source, line, "include", message);
        }
        let items: Vec<_> = match node.content {
            Content::List(items) => items,
            content => vec![Node { line: node.line, content }],
        };
        for item in items.into_iter().filter(|item| !item.is_null()) {
            let place = Place { line: item.line, ..*place };
            match value::list(&item) {
                Ok(paths) if matches!(item.content, Content::Scalar(_)) => {
                    paths.iter().for_each(|path| self.include(path, &place, None));
                }
                _ => self.report.problem(place.source, place.line, "'include' is a list of files"),
            }
        }
    }

    fn include(&mut self, path: &str, place: &Place<'_>, kind: Option<Kind>) {
        let path = path.strip_prefix(FILE_SCHEME).unwrap_or(path);
        match place.folder {
            Some(folder) => self.read(&folder.join(path), place, kind),
            None => {
                let message = format!(
                    "'{}' cannot be included, as this text is not a file: import it from files",
                    shown(path)
                );
                self.report.problem(place.source, place.line, message);
            }
        }
    }
}

pub(crate) fn too_large() -> String {
    format!("is larger than {} MiB: split it and use 'include'", MAX_FILE >> 20)
}

const FILE_SCHEME: &str = "file://";
