//! What concerns several objects when some of a valid configuration were edited.

use std::collections::BTreeMap;

use super::{All, Names, check, check_fitness};
use crate::import::Existing;
use crate::normalise::Checked;
use crate::problem::{Problem, Report, Source, Warning, shown};
use crate::{Kind, Object, ObjectSet};

/// A configuration that edits led to.
pub(crate) struct Edited<'a> {
    /// All objects.
    pub(crate) objects: &'a ObjectSet,
    /// The ones that are new or differ.
    pub(crate) changed: Vec<&'a Object>,
    /// Names that stand for nothing any more.
    pub(crate) gone: Names,
    /// Tells what exists without being stored.
    pub(crate) built_in: &'a dyn Fn(Kind, &str) -> bool,
}

/// Returns a problem for each object that refers to what is gone.
pub(crate) fn uses_of_what_is_gone(edited: &Edited<'_>) -> Vec<Problem> {
    if edited.gone.is_empty() {
        return Vec::new();
    }
    let mut report = Report::default();
    for object in edited.objects.iter() {
        let is_gone = |kind, name: &str| edited.gone.contains(&(kind, name.to_owned()));
        let references = object.references().into_iter();
        let references = references
            .filter(|it| is_gone(it.kind, it.name))
            .map(|it| (it.field, it.kind, it.name));
        let services = object.service_names().into_iter().filter_map(|(field, name)| {
            let outconn = name.split_once(':').map(|(outconn, _)| outconn);
            let kind = if is_gone(Kind::Service, name) {
                Kind::Service
            } else if is_gone(Kind::WsxGateway, name) {
                Kind::WsxGateway
            } else {
                return outconn
                    .filter(|outconn| is_gone(Kind::OutgoingWsx, outconn))
                    .map(|outconn| (field, Kind::OutgoingWsx, outconn));
            };
            Some((field, kind, name))
        });
        for (field, kind, name) in references.chain(services) {
            let source = Source::of(object);
            let message = format!("uses {kind} '{}': change or delete this one first", shown(name));
            report.field(&source, 0, field, message);
        }
    }
    report.problems
}

/// Checks what differs, and what refers to it.
pub(crate) fn check_edited(edited: &Edited<'_>) -> Result<Vec<Warning>, Vec<Problem>> {
    let mut report = Report::default();
    let changed: Vec<Checked> =
        edited.changed.iter().map(|object| Checked::of((*object).clone())).collect();
    let names: Names = edited.changed.iter().map(|object| (object.kind(), object.name())).collect();
    let existing = Existing::new(edited.objects, edited.built_in);
    check(&changed, &[], &names, existing, &mut report);

    // What is not changed may not fit any more to what is.
    let refers = |object: &Object| {
        let mut references = object.references().into_iter();
        references.any(|it| names.contains(&(it.kind, it.name.to_owned())))
    };
    let is_changed = |object: &Object| names.contains(&(object.kind(), object.name()));
    let none = Names::new();
    let all = All { objects: BTreeMap::new(), names: &none, existing };
    for object in edited.objects.iter().filter(|object| refers(object) && !is_changed(object)) {
        check_fitness(&Checked::of(Object::clone(object)), &all, &mut report);
    }
    if report.problems.is_empty() { Ok(report.warnings) } else { Err(report.problems) }
}
