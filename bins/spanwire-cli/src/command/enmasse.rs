//! `spanwire enmasse …`
//!
//! Files are read here, where the command runs, with what they include; the server reads none.

mod file;

use std::path::Path;

use spanwire_protocol::admin::{Changed, ObjectAction};

use super::{diff, report};
use crate::args::{Diff, Enmasse, Export, ExportFormat, Import, Selection};
use crate::client::{Client, Failure, Query};
use crate::confirm::Consent;
use crate::output::{self, Output};

pub(crate) fn run(verb: &Enmasse, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Enmasse::Import(args) => import(args, client, output),
        Enmasse::Export(args) => export(args, client, output),
        Enmasse::Diff(args) => compare(args, client, output),
    }
}

fn import(args: &Import, client: &Client, output: &Output) -> Result<(), Failure> {
    let deletes = args.prune && !args.change.dry_run;
    let consent = Consent::new(args.yes || !deletes)?;
    let query = Query::default()
        .flag("replace", args.replace)
        .flag("prune", args.prune)
        .maybe("label", args.label.as_deref());
    let query = select(query, &args.selection)?.maybe("reason", args.change.reason.as_deref());
    let bundle = file::collect(&args.files.paths())?;
    let send = |dry_run| -> Result<Changed, Failure> {
        let path = format!("import{}", query.clone().flag("dry_run", dry_run));
        Ok(client.create(&path, &bundle)?.0)
    };
    if consent == Consent::Ask {
        let preview = send(true)?;
        output.lines(diff::lines(&preview))?;
        let is_gone = |action| action == ObjectAction::Deleted;
        let count = preview.changes.iter().filter(|change| is_gone(change.action)).count();
        consent.get(&format!("import, and delete {}?", output::counted(count, "object")))?;
    }
    report::changed(&send(args.change.dry_run)?, output)
}

fn compare(args: &Diff, client: &Client, output: &Output) -> Result<(), Failure> {
    let query = Query::default().flag("dry_run", true).flag("replace", true);
    let path = format!("import{}", select(query, &args.selection)?);
    let bundle = file::collect(&args.files.paths())?;
    let (changed, _): (Changed, bool) = client.create(&path, &bundle)?;
    let lines = if changed.changes.is_empty() { Vec::new() } else { diff::lines(&changed) };
    output.result(&changed, lines)?;
    report::warnings(&changed, output);
    Ok(())
}

fn export(args: &Export, client: &Client, output: &Output) -> Result<(), Failure> {
    let format = args.format.unwrap_or_else(|| format_of(args.file.as_deref()));
    let query = Query::default().with("format", format.as_str());
    let query = select(query, &args.selection)?.flag("reveal_secrets", args.reveal_secrets);
    let text = client.text(&format!("export{query}"))?;
    match &args.file {
        None => output::document(&text),
        Some(path) => {
            file::write(path, &text, args.reveal_secrets)?;
            output.done(&format!("written to {}", path.display()))
        }
    }
}

/// Adds which objects are meant; words that mean nothing are refused here already.
fn select(query: Query, selection: &Selection) -> Result<Query, Failure> {
    let Selection { include_type, include_name } = selection;
    spanwire_config::Selection::parse(include_type, include_name).map_err(Failure::Input)?;
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
    Ok(query
        .maybe("include_type", list(include_type).as_deref())
        .maybe("include_name", list(include_name).as_deref()))
}

fn format_of(path: Option<&Path>) -> ExportFormat {
    let extension = path.and_then(Path::extension);
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        ExportFormat::Json
    } else {
        ExportFormat::Yaml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_select_nothing_are_refused() {
        let select = |types: &[&str]| {
            let include_type = types.iter().map(|&word| word.to_owned()).collect();
            select(Query::default(), &Selection { include_type, include_name: Vec::new() })
        };
        let query = select(&["security", "pubsub"]).unwrap();
        assert_eq!(query.to_string(), "?include_type=security%2Cpubsub");
        assert_eq!(select(&[]).unwrap().to_string(), "");
        assert_eq!(select(&["soap"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_name_of_a_file_says_how_it_is_written() {
        for (name, format) in [
            (Some("x.json"), ExportFormat::Json),
            (Some("x.JSON"), ExportFormat::Json),
            (Some("x.yaml"), ExportFormat::Yaml),
            (Some("x.yml"), ExportFormat::Yaml),
            (Some("json"), ExportFormat::Yaml),
            (None, ExportFormat::Yaml),
        ] {
            assert_eq!(format_of(name.map(Path::new)), format, "{name:?}");
        }
    }
}
