//! The whole command line, without a server.

mod pubsub;

use serde_json::json;
use spanwire_config::Kind;
use spanwire_config::spec::{Effect, KindSpec, ValueType};

use super::*;
use crate::object::Verb;
use crate::secret::Source;

fn asked(line: &str) -> Result<Asked, clap::Error> {
    let words = std::iter::once("spanwire").chain(line.split_whitespace());
    read(&command().try_get_matches_from(words)?)
}

fn verb(line: &str) -> Verb {
    match asked(line).unwrap_or_else(|error| panic!("{line}: {error}")).what {
        What::Objects(verb) => verb,
        What::Noun(noun) => panic!("{line}: {noun:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn every_key_that_has_an_effect_is_an_option() {
    let root = command();
    for noun in object::NOUNS {
        for (word, kind) in noun.kinds {
            let mut create = root.find_subcommand(noun.word).unwrap();
            create = create.find_subcommand("create").unwrap();
            if noun.has_types() {
                create = create.find_subcommand(word).unwrap();
            }
            for field in KindSpec::of(*kind).fields() {
                let long = field.key.replace('_', "-");
                let found = create.get_arguments().find(|arg| arg.get_long() == Some(&long));
                let is_option = field.effect == Effect::Applied
                    && field.value != ValueType::Secret
                    && field.key != "name";
                // Keys without an effect may have the name of an option that is something else.
                let found = found.filter(|arg| arg.get_id().as_str().starts_with("field:"));
                assert_eq!(found.is_some(), is_option, "{kind}.{}", field.key);
                assert_eq!(
                    found.is_some_and(clap::Arg::is_required_set),
                    is_option && field.required
                );
            }
        }
    }
}

#[test]
fn values_are_read_by_the_type_of_their_key() {
    let Verb::Create { kind, fields, password, change } = verb(
        "channel create wsx crm --address /ws/crm --service gw --sec-def app1 --is-active false \
         --max-in-flight 8 --ping-timeout 5s --token-ttl 60 --allowed-origins https://a.b \
         --allowed-origins * --reason because",
    ) else {
        panic!("create");
    };
    assert_eq!((kind, password), (Kind::WebSocket, None));
    assert_eq!((change.dry_run, change.reason.as_deref()), (false, Some("because")));
    let expected = json!({"name": "crm", "address": "/ws/crm", "service": "gw", "sec_def": "app1",
        "is_active": false, "max_in_flight": 8, "ping_timeout": "5s", "token_ttl": 60,
        "allowed_origins": ["https://a.b", "*"]});
    assert_eq!(serde_json::Value::Object(fields), expected);
}

#[test]
fn edit_sets_and_unsets() {
    let line = "topic edit /a/b --has-gd true --unset limit-retention --unset hook_service_name";
    let Verb::Edit { kind, name, patch, change } = verb(line) else {
        panic!("edit");
    };
    assert_eq!((kind, name.as_str(), change.dry_run), (Kind::PubsubTopic, "/a/b", false));
    let expected = json!({"has_gd": true, "limit_retention": null, "hook_service_name": null});
    assert_eq!(serde_json::Value::Object(patch), expected);
}

#[test]
fn types_are_told_apart_by_a_word() {
    let Verb::Show(target) = verb("channel show crm") else { panic!("show") };
    assert_eq!(target.kinds, [Kind::WebSocket, Kind::ChannelRest]);
    let Verb::Delete { target, yes, .. } = verb("outconn delete crm --type rest --yes") else {
        panic!("delete");
    };
    assert_eq!((target.kinds.as_slice(), yes), (&[Kind::OutgoingRest][..], true));
    let Verb::Revert { target, version, .. } = verb("subscription revert crm//a/b 3") else {
        panic!("revert");
    };
    assert_eq!((target.name.as_str(), version), ("crm//a/b", 3));
}

#[test]
fn passwords_are_asked_for_or_read() {
    let create = "security create app1 --type basic_auth --username app1";
    for (line, expected) in [
        (create.to_owned(), None),
        (format!("{create} --password-stdin"), Some(Source::Stdin)),
        (format!("{create} --prompt-password --dry-run"), Some(Source::Prompt)),
    ] {
        let Verb::Create { password, .. } = verb(&line) else { panic!("{line}") };
        assert_eq!(password, expected, "{line}");
    }
    let Verb::ChangePassword { source, .. } = verb("security change-password app1") else {
        panic!("change-password");
    };
    assert_eq!(source, Source::Prompt);
}

#[test]
fn services_are_called_and_configured() {
    for line in ["service list", "service invoke zato.ping"] {
        assert!(matches!(asked(line).unwrap().what, What::Noun(Noun::Service(_))), "{line}");
    }
    let line = "--url http://a:1 --token t service create crm --url http://b:2/x";
    let asked = asked(line).unwrap();
    assert_eq!(asked.global.server.url.as_deref(), Some("http://a:1"));
    let What::Objects(Verb::Create { kind, fields, .. }) = asked.what else {
        panic!("create");
    };
    assert_eq!((kind, &fields["url"]), (Kind::Service, &json!("http://b:2/x")));
}

#[test]
fn the_address_of_the_server_goes_anywhere() {
    let url = "--url http://a:1 --token t";
    for line in [
        format!("{url} channel list"),
        format!("channel {url} list"),
        format!("channel list {url}"),
        format!("channel edit rest crm --method GET {url}"),
        format!("{url} service edit crm --method GET"),
        "service edit crm --url http://b:2 --server-url http://a:1 --token t".to_owned(),
        format!("connection list {url} --output json"),
    ] {
        let server = asked(&line).unwrap_or_else(|error| panic!("{line}: {error}")).global.server;
        let found = (server.url.as_deref(), server.token.as_deref());
        assert_eq!(found, (Some("http://a:1"), Some("t")), "{line}");
    }
}

#[test]
fn older_options_are_read() {
    let line = "enmasse import --input a.yaml --replace-odb-objects";
    let What::Noun(Noun::Enmasse(Enmasse::Import(import))) = asked(line).unwrap().what else {
        panic!("import");
    };
    assert_eq!(import.files.paths(), [PathBuf::from("a.yaml")]);
    assert!(import.replace);
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "channel",
        "channel create",
        "channel create wsx",
        "channel create wsx crm --address /x --service y",
        "channel create soap crm",
        "channel create wsx crm --address /x --service y --sec-def z --is-active maybe",
        "channel create wsx crm --address /x --service y --sec-def z --token-tll 5",
        "channel list --type soap",
        "channel list --state tired",
        "channel edit wsx crm",
        "channel edit wsx crm --reason because",
        "channel edit wsx crm --name other",
        "channel edit wsx crm --unset address",
        "channel edit wsx crm --unset no-such",
        "channel edit wsx crm --token-ttl 5 --unset token-ttl",
        "channel revert crm one",
        "security create app1 --type basic_auth --password secret",
        "security create app1 --type jwt",
        "security create app1 --type apikey --password-stdin --prompt-password",
        "subscription rename a b",
        "subscription create --topic-name /a",
        "subscription edit a//b --topic-name /c",
        "connection disconnect",
        "connection disconnect ws.1 --all",
        "connection disconnect --all --client-id a",
        "connection list --attr x",
        "enmasse import",
        "enmasse import a.yaml --prune",
        "enmasse diff",
        "history show",
        "secret-key",
    ] {
        let error = asked(line).err().unwrap_or_else(|| panic!("{line} is accepted"));
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn connections_are_chosen_by_attributes() {
    let line = "connection disconnect --client-id a --attr site=x=y --attr n= --dry-run";
    let What::Noun(Noun::Connection(Connection::Disconnect(close))) = asked(line).unwrap().what
    else {
        panic!("disconnect");
    };
    let pairs: Vec<(String, &str)> = close.filter.pairs().collect();
    let expected = [("ext_client_id", "a"), ("attr.site", "x=y"), ("attr.n", "")];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value)));
    assert!(close.dry_run && close.ids.is_empty() && !close.all);
}

#[test]
fn completions_know_every_noun_and_key() {
    let mut script = Vec::new();
    clap_complete::generate(clap_complete::Shell::Bash, &mut command(), "spanwire", &mut script);
    let script = String::from_utf8(script).unwrap();
    for noun in object::NOUNS {
        assert!(script.contains(&format!("spanwire__subcmd__{}", noun.word)), "{}", noun.word);
    }
    for word in [
        "--max-in-flight",
        "secret-key",
        "enmasse",
        "change-password",
        "disconnect",
        "requeue",
        "create-topic",
        "--no-gd",
    ] {
        assert!(script.contains(word), "{word}");
    }
}
