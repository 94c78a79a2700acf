use std::fs;

use tempfile::TempDir;

use super::*;
use crate::import;

fn env(name: &str) -> Option<String> {
    match name {
        "PASSWORD" => Some("hunter2".to_owned()),
        "FOLDER" => Some("sub".to_owned()),
        _ => None,
    }
}

/// Writes files, and links where the text is `-> target`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            #[cfg(unix)]
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            _ => fs::write(path, text).unwrap(),
        }
    }
    folder
}

/// Imports from the disk and by a bundle that went over a wire, the files being gone by then.
fn both(files: &[(&str, &str)], roots: &[&str]) -> [Result<Import, Vec<String>>; 2] {
    let folder = folder(files);
    let roots: Vec<_> = roots.iter().map(|root| folder.path().join(root)).collect();
    let shown = |problems: Vec<Problem>| -> Vec<String> {
        let folder = format!("{}/", folder.path().display());
        problems.iter().map(|it| it.to_string().replace(&folder, "")).collect()
    };
    let direct = import(&roots, &env, Existing::nothing()).map_err(shown);
    let bundle = collect(&roots, &env);
    let _ = fs::remove_dir_all(folder.path());
    let bundled = bundle.and_then(|bundle| {
        let wire = serde_json::to_string(&bundle).unwrap();
        let bundle: Bundle = serde_json::from_str(&wire).unwrap();
        import_bundle(&bundle, Existing::nothing())
    });
    [direct, bundled.map_err(shown)]
}

fn names(files: &[(&str, &str)], roots: &[&str]) -> Vec<String> {
    let [direct, bundled] = both(files, roots);
    assert_eq!(bundled, direct);
    direct.unwrap().objects.iter().map(crate::Object::name).collect()
}

fn problems(files: &[(&str, &str)], roots: &[&str]) -> Vec<String> {
    let [direct, bundled] = both(files, roots);
    assert_eq!(bundled, direct);
    direct.unwrap_err()
}

const ONE: &str = "security: [{name: one, type: apikey}]\n";

#[test]
fn trees_of_files_give_what_an_import_gives() {
    let files = [
        (
            "main.yaml",
            "include: [sub/more.yaml, './{Spanwire_Env.FOLDER}/env.yaml', a/../shared.json]
security:
- file://sub/one.yaml
- {name: b, type: apikey, password: Spanwire_Env.PASSWORD}
pubsub_topic: file://sub/topics.yaml
",
        ),
        ("a/keep.yaml", ""),
        ("sub/more.yaml", "include: ../shared.json\nsecurity: [{name: c, type: apikey}]\n"),
        ("sub/one.yaml", "name: a\ntype: apikey\n"),
        ("sub/env.yaml", "wsx_gateway: [{name: g}]\n"),
        ("sub/topics.yaml", "- name: /x\n- name: /y\n"),
        (
            "shared.json",
            "\u{feff}{\n\t\"security\": [{\"name\": \"\\ud83d\\ude00\", \"type\": \"apikey\"}]\n}",
        ),
    ];
    let roots = ["main.yaml", "sub/../shared.json", "main.yaml"];
    assert_eq!(names(&files, &roots), ["😀", "c", "a", "b", "g", "/x", "/y"]);
    assert_eq!(names(&[], &[]), [""; 0]);
}

#[cfg(unix)]
#[test]
fn links_lead_where_they_led() {
    let files = [
        ("main.yaml", "include: [one.yaml, link.yaml, folder/../two.yaml, two.yaml]"),
        ("one.yaml", ONE),
        ("link.yaml", "-> one.yaml"),
        ("else/where/here.yaml", ""),
        ("folder", "-> else/where"),
        ("else/two.yaml", "security: [{name: far, type: apikey}]"),
        ("two.yaml", "security: [{name: near, type: apikey}]"),
    ];
    assert_eq!(names(&files, &["main.yaml"]), ["one", "far", "near"]);
}

#[test]
fn mistakes_are_those_of_an_import() {
    let found = problems(
        &[("a.yaml", "include: [b.yaml]\n"), ("b.yaml", "include:\n- a.yaml\n")],
        &["a.yaml"],
    );
    assert_eq!(found, ["b.yaml:2: 'a.yaml' includes itself: remove this include"]);

    let missing = [("a.yaml", "include: [no.yaml]\n"), ("one.yaml", ONE)];
    let found = problems(&missing, &["one.yaml", "a.yaml", "none.yaml"]);
    assert!(found[0].starts_with("a.yaml:1: 'no.yaml' cannot be included: cannot be read ("));
    assert!(found[1].starts_with("none.yaml: cannot be read ("), "{found:?}");

    let unset = "security:\n- {name: x, type: apikey, password: Spanwire_Env.NOPE}\n- {name: y}\n";
    let found = problems(&[("a.yaml", unset)], &["a.yaml"]);
    assert!(found[0].contains("environment variable 'NOPE' is not set"), "{found:?}");
    assert!(found[1].contains("security 'y', field 'type': is missing"), "{found:?}");

    let found =
        problems(&[("a.yaml", "security: ["), ("b.yaml", "colours: []")], &["b.yaml", "a.yaml"]);
    assert!(found[0].starts_with("a.yaml:") && found[1].starts_with("b.yaml:1: unknown kind"));
    let found = problems(
        &[("one.yaml", ONE), ("two.yaml", &format!("include: [one.yaml]\n{ONE}"))],
        &["two.yaml"],
    );
    assert!(found[0].contains("is defined twice, first in line 1 of"), "{found:?}");
    let large = "#".repeat(MAX_FILE + 1);
    let found = problems(&[("large.yaml", &large)], &["large.yaml"]);
    assert!(found[0].contains("is larger than 10 MiB"), "{found:?}");
}

#[test]
fn too_many_files_are_refused_in_both_ways() {
    let list: String = (0..=MAX_FILES).map(|n| format!("- f{n}.yaml\n")).collect();
    let main = format!("include:\n{list}");
    let names: Vec<String> = (0..=MAX_FILES).map(|n| format!("f{n}.yaml")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    files.push(("main.yaml", &main));
    let found = problems(&files, &["main.yaml"]);
    assert!(found[0].contains("more than 1000 files are included"), "{found:?}");
}

#[test]
fn a_bundle_keeps_only_variables_that_are_named() {
    let text = "security:\n- {name: x, type: apikey, password: Spanwire_Env.PASSWORD}\n";
    let folder = folder(&[("a.yaml", text)]);
    let asked = RefCell::new(Vec::new());
    let env = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        env(name)
    };
    let bundle = collect(&[folder.path().join("a.yaml")], &env).unwrap();
    assert_eq!(*asked.borrow(), ["PASSWORD"]);
    assert_eq!(bundle.environment.len(), 1);
    assert_eq!(bundle.files[0].text, text);
    let shown = format!("{bundle:?}");
    assert!(shown.contains("PASSWORD") && !shown.contains("hunter2"), "{shown}");
    assert!(!shown.contains("apikey"), "{shown}");
}

fn made(json: &serde_json::Value) -> Result<Import, Vec<String>> {
    let bundle: Bundle = serde_json::from_value(json.clone()).unwrap();
    let import = import_bundle(&bundle, Existing::nothing());
    import.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn bundles_made_elsewhere_read_nothing_but_themselves() {
    use serde_json::json;
    let files = json!([
        {"path": "conf/main.yaml", "text": "include: [./x/../one.yaml, ../conf/one.yaml]"},
        {"path": "conf/one.yaml", "text": format!("\u{feff}{ONE}")},
    ]);
    assert_eq!(
        made(&json!({"roots": ["conf/main.yaml"], "files": files})).unwrap().objects.len(),
        1
    );

    let outside = folder(&[("one.yaml", ONE)]);
    let path = outside.path().join("one.yaml").display().to_string();
    let main = json!({"path": "main.yaml", "text": format!("include: ['{path}']")});
    let found = made(&json!({"roots": ["main.yaml", path], "files": [main]})).unwrap_err();
    let main = format!("main.yaml:1: '{path}' cannot be included: is not in the bundle: collect");
    assert!(found[0].starts_with(&main), "{found:?}");
    let root = made(&json!({"roots": [path], "files": []})).unwrap_err();
    assert_eq!(root, [format!("{path}: is not in the bundle: collect the files again")]);

    let home = json!({"path": "a", "text": "include: ['{Spanwire_Env.HOME}/x']"});
    let found = made(&json!({"roots": ["a"], "files": [home]})).unwrap_err();
    assert!(found[0].contains("environment variable 'HOME' is not set"), "{found:?}");
    assert!(serde_json::from_value::<Bundle>(json!({"roots": [], "files": [], "x": 1})).is_err());
}

#[test]
fn bundles_beyond_the_limits_are_refused() {
    use serde_json::json;
    let half = "#".repeat(MAX_FILE / 2 + 1);
    let folder = folder(&[("a.yaml", &half), ("b.yaml", &half)]);
    let roots = [folder.path().join("a.yaml"), folder.path().join("b.yaml")];
    assert!(import(&roots, &env, Existing::nothing()).is_ok());
    let found = collect(&roots, &env).unwrap_err();
    assert!(found[0].to_string().contains("b.yaml: the files have more than 10 MiB together"));

    let file = |path: String, text: &str| json!({"path": path, "text": text});
    let files = [file("a".to_owned(), &half), file("b".to_owned(), &half)];
    let found = made(&json!({"roots": [], "files": files})).unwrap_err();
    assert!(found[0].starts_with("the files have more than 10 MiB together"), "{found:?}");
    let files: Vec<_> = (0..=MAX_FILES).map(|n| file(n.to_string(), "")).collect();
    let found = made(&json!({"roots": [], "files": files})).unwrap_err();
    assert!(found[0].contains("at most 1000 files"), "{found:?}");
    let files = [file("a".to_owned(), ""), file("a".to_owned(), "")];
    let found = made(&json!({"roots": ["a"], "files": files})).unwrap_err();
    assert_eq!(found, ["a: is in the bundle twice: collect the files again"]);

    let value = "x".repeat(MAX_FILE / 4);
    let many = "{Spanwire_Env.V}".repeat(5);
    let text = format!("security: [{{name: '{many}', type: apikey}}]");
    let files = [file("a".to_owned(), &text)];
    let json = json!({"roots": ["a"], "files": files, "environment": {"V": value}});
    let found = made(&json).unwrap_err();
    assert!(found[0].starts_with("values from the environment make up more than 10 MiB"));
    assert_eq!(found.len(), 1);
}
