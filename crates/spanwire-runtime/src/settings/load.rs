//! Reading settings: the file, then variables, then arguments. Every unknown key and variable is an error that names
//! the nearest known one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use spanwire_protocol::admin::SettingOrigin;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{LogFormat, Profile, PubSubSettings, Settings};

/// What arguments say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--admin-listen`.
    pub admin_listen: Option<SocketAddr>,
    /// `--profile`.
    pub profile: Option<Profile>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
}

const PREFIX: &str = "SPANWIRE_";

/// Where settings come from; read at the start, and again at each reload.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `spanwire.toml`. A missing file is an empty one.
    pub file: PathBuf,
    /// The environment; what does not begin with `SPANWIRE_` is not looked at.
    pub variables: Vec<(String, String)>,
    /// Arguments.
    pub overrides: Overrides,
}

/// Settings, and where each of them comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Keys that somebody set, with the place where.
    pub origins: BTreeMap<String, (SettingOrigin, String)>,
}

impl Sources {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every mistake, each naming its place and what is accepted.
    pub fn load(&self) -> Result<Loaded, Vec<String>> {
        let place = self.file.display().to_string();
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(vec![format!("{place}: cannot be read: {error}")]),
        };
        let mut table: Table =
            toml::from_str(&text).map_err(|error| vec![format!("{place}: {error}")])?;
        let known = known_keys();
        let mut problems = unknown_keys(&table, "", &known, &place);
        let in_file = lines(&text).into_iter();
        let mut origins: BTreeMap<_, _> = in_file
            .map(|(key, line)| (key, (SettingOrigin::File, format!("{place}:{line}"))))
            .collect();
        for (name, value) in &self.variables {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            match overlay(&mut table, key, name, value, &known) {
                Ok(key) => {
                    drop(origins.insert(key, (SettingOrigin::Environment, name.clone())));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut settings = Settings::deserialize(table)
            .map_err(|error| vec![format!("{place}: {}", plain(&error.to_string()))])?;
        let overrides = self.overrides;
        let given = [
            ("listen", overrides.listen.is_some()),
            ("admin_listen", overrides.admin_listen.is_some()),
            ("profile", overrides.profile.is_some()),
            ("log_format", overrides.log_format.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let argument = format!("--{}", key.replace('_', "-"));
            origins.insert(key.to_owned(), (SettingOrigin::Argument, argument));
        }
        settings.listen = overrides.listen.unwrap_or(settings.listen);
        settings.admin_listen = overrides.admin_listen.unwrap_or(settings.admin_listen);
        settings.profile = overrides.profile.or(settings.profile);
        settings.log_format = overrides.log_format.unwrap_or(settings.log_format);
        check_values(&settings)?;
        Ok(Loaded { settings, origins })
    }
}

/// The words of the parser, without the names of Rust's types.
fn plain(error: &str) -> String {
    ["usize", "u64", "u32"].iter().fold(error.trim().to_owned(), |text, name| {
        text.replace(&format!("expected {name}"), "expected a whole number")
    })
}

/// The line of each key in a file that was read without mistakes.
fn lines(text: &str) -> BTreeMap<String, usize> {
    fn collect(table: &DeTable<'_>, prefix: &str, text: &str, lines: &mut BTreeMap<String, usize>) {
        for (key, value) in table {
            let full = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(section) => collect(section, &format!("{full}."), text, lines),
                _ => {
                    let before = text.get(..key.span().start).unwrap_or_default();
                    lines.insert(full, before.matches('\n').count() + 1);
                }
            }
        }
    }
    let mut lines = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        collect(table.get_ref(), "", text, &mut lines);
    }
    lines
}

/// Every key with its default, sections as `limits.headers`. Keys without a default have an empty text.
pub(crate) fn known_keys() -> BTreeMap<String, Value> {
    let filled = Settings {
        profile: Some(Profile::Dev),
        tls_certificate: Some("".into()),
        tls_key: Some("".into()),
        admin_tls_certificate: Some("".into()),
        admin_tls_key: Some("".into()),
        pubsub: PubSubSettings { audit: Some("".into()), ..PubSubSettings::default() },
        sso: spanwire_sso::Settings::default().filled(),
        ..Settings::default()
    };
    flat(&filled)
}

/// Every key that has a value, sections as `limits.headers`.
pub(super) fn flat(settings: &Settings) -> BTreeMap<String, Value> {
    fn collect(table: Table, prefix: &str, known: &mut BTreeMap<String, Value>) {
        for (key, value) in table {
            let full = format!("{prefix}{key}");
            match value {
                Value::Table(section) if !TABLES.contains(&full.as_str()) => {
                    collect(section, &format!("{full}."), known);
                }
                value => drop(known.insert(full, value)),
            }
        }
    }
    let mut known = BTreeMap::new();
    collect(Table::try_from(settings).unwrap_or_default(), "", &mut known);
    known
}

/// Settings that are tables of the administrator's own keys.
const TABLES: [&str; 1] = ["sso.user_address_list"];

fn unknown_keys(
    table: &Table,
    prefix: &str,
    known: &BTreeMap<String, Value>,
    place: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, value) in table {
        let full = format!("{prefix}{key}");
        match value {
            Value::Table(section) if known.keys().any(|k| k.starts_with(&format!("{full}."))) => {
                problems.extend(unknown_keys(section, &format!("{full}."), known, place));
            }
            _ if known.contains_key(&full) => {}
            _ => {
                let nearest = nearest(&full, known.keys().map(String::as_str));
                problems.push(format!("{place}: unknown key `{full}`{nearest}"));
            }
        }
    }
    problems
}

fn overlay(
    table: &mut Table,
    key: &str,
    name: &str,
    text: &str,
    known: &BTreeMap<String, Value>,
) -> Result<String, String> {
    let variables = known.keys().map(|key| (variable(key), key));
    let Some((_, full)) = variables.clone().find(|(variable, _)| variable == name) else {
        let names: Vec<String> = variables.map(|(variable, _)| variable).collect();
        let nearest = nearest(&format!("{PREFIX}{key}"), names.iter().map(String::as_str));
        return Err(format!("environment: unknown variable {name}{nearest}"));
    };
    let wrong = |expected: &str| format!("environment: {name}: expected {expected}");
    let value = match known.get(full) {
        Some(Value::Integer(_)) => {
            Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?)
        }
        Some(Value::Boolean(_)) => {
            Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?)
        }
        Some(Value::Table(_)) => {
            return Err(wrong("nothing: this is a table, which belongs into the file"));
        }
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    };
    put(table, full, value);
    Ok(full.clone())
}

/// Puts a value into the section that its key names.
fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((section, inner)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                put(section, inner, value);
            }
        }
    }
}

/// `limits.headers` is `SPANWIRE_LIMITS_HEADERS`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let best = known
        .map(|k| (strsim::normalized_damerau_levenshtein(wrong, k), k))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn check_values(settings: &Settings) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    if let Err(problem) =
        spanwire_channel::transport::TrustedProxies::parse(&settings.trusted_proxies)
    {
        problems.push(format!("trusted_proxies: {problem}"));
    }
    for (what, certificate, key) in [
        ("tls", &settings.tls_certificate, &settings.tls_key),
        ("admin_tls", &settings.admin_tls_certificate, &settings.admin_tls_key),
    ] {
        if certificate.is_some() != key.is_some() {
            problems.push(format!("{what}_certificate and {what}_key: give both, or none"));
        }
    }
    let limits = &settings.limits;
    let at_least = [
        ("limits.headers", limits.headers, 10),
        ("limits.header_bytes", limits.header_bytes, 8192),
        ("limits.message_bytes", limits.message_bytes, 1024),
        ("limits.outgoing_queue_bytes", limits.outgoing_queue_bytes, 1024),
    ];
    for (key, value, least) in at_least {
        if value < least {
            problems.push(format!("{key}: {value} is too small; at least {least} is needed"));
        }
    }
    problems.extend(settings.sso.problems());
    if settings.name.is_empty() || settings.name.len() > 200 {
        problems.push("name: expected 1 to 200 characters".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("spanwire.toml");
        std::fs::write(&file, text).unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let sources = Sources { file, variables, overrides: Overrides::default() };
        sources.load().map(|loaded| loaded.settings)
    }

    #[test]
    fn nothing_is_the_defaults() {
        assert_eq!(read("", &[("PATH", "/bin")]), Ok(Settings::default()));
        assert_eq!(Settings::default().effective_profile(), Profile::Dev);
    }

    #[test]
    fn variables_win_over_the_file_and_arguments_over_both() {
        let text = "listen = \"0.0.0.0:1\"\ndrain_timeout = \"2m\"\n[limits]\nheaders = 50\n";
        let variables =
            [("SPANWIRE_LIMITS_HEADERS", "60"), ("SPANWIRE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")];
        let settings = read(text, &variables).unwrap();
        assert_eq!(
            (settings.limits.headers, settings.drain_timeout),
            (60, Duration::from_secs(120))
        );
        assert_eq!(settings.trusted_proxies, ["10.0.0.0/8", "::1"]);
        assert_eq!(settings.effective_profile(), Profile::Production);
        let overrides = Overrides { profile: Some(Profile::Compat), ..Overrides::default() };
        let sources =
            Sources { file: "/nonexistent/spanwire.toml".into(), overrides, ..Sources::default() };
        assert_eq!(sources.load().unwrap().settings.profile, Some(Profile::Compat));
    }

    #[test]
    fn every_value_knows_where_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("spanwire.toml");
        std::fs::write(&file, "name = \"a\"\n\n[limits]\n# more\nheaders = 50\nconnections = 7\n")
            .unwrap();
        let variables = vec![("SPANWIRE_LIMITS_CONNECTIONS".to_owned(), "8".to_owned())];
        let overrides =
            Overrides { listen: Some(([127, 0, 0, 1], 1).into()), ..Overrides::default() };
        let origins = Sources { file, variables, overrides }.load().unwrap().origins;
        let of = |key: &str| {
            origins.get(key).map(|(origin, place)| (*origin, place.rsplit('/').next().unwrap()))
        };
        assert_eq!(of("name"), Some((SettingOrigin::File, "spanwire.toml:1")));
        assert_eq!(of("limits.headers"), Some((SettingOrigin::File, "spanwire.toml:5")));
        assert_eq!(
            of("limits.connections"),
            Some((SettingOrigin::Environment, "SPANWIRE_LIMITS_CONNECTIONS"))
        );
        assert_eq!(of("listen"), Some((SettingOrigin::Argument, "--listen")));
        assert_eq!(of("drain_timeout"), None);
    }

    #[test]
    fn mistakes_name_their_place_and_the_nearest_word() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str);
        let table: [Row; 9] = [
            ("listn = 1", &[], "unknown key `listn`; did you mean `listen`?"),
            (
                "[limits]\nheader = 1",
                &[],
                "unknown key `limits.header`; did you mean `limits.headers`?",
            ),
            (
                "",
                &[("SPANWIRE_LISEN", "x")],
                "unknown variable SPANWIRE_LISEN; did you mean `SPANWIRE_LISTEN`?",
            ),
            (
                "",
                &[("SPANWIRE_LIMITS_HEADERS", "x")],
                "SPANWIRE_LIMITS_HEADERS: expected a whole number",
            ),
            ("listen = \"x\"", &[], "invalid socket address syntax"),
            ("[limits]\nheaders = \"x\"", &[], "expected a whole number"),
            ("drain_timeout = \"soon\"", &[], "expected a time such as"),
            ("tls_key = \"k\"", &[], "give both, or none"),
            ("trusted_proxies = [\"x\"]", &[], "`x` is neither an IP address nor a network"),
        ];
        for (text, variables, expected) in table {
            let problems = read(text, variables).unwrap_err().join("\n");
            assert!(problems.contains(expected), "{problems}");
        }
    }
}
