//! Topics, queues, publishing, and the commands of `zato pubsub`.

use super::*;

fn noun(line: &str) -> Noun {
    match asked(line).unwrap_or_else(|error| panic!("{line}: {error}")).what {
        What::Noun(noun) => noun,
        What::Objects(verb) => panic!("{line}: {verb:?}"),
    }
}

fn pubsub(line: &str) -> PubSub {
    match noun(&format!("pubsub {line}")) {
        Noun::Pubsub(verb) => verb,
        noun => panic!("{line}: {noun:?}"),
    }
}

#[test]
fn topics_are_objects_and_hold_messages() {
    for line in ["topic list --name /a", "topic show /a", "topic create /a --has-gd true"] {
        assert!(matches!(asked(line).unwrap().what, What::Objects(_)), "{line}");
    }
    for line in [
        "topic status",
        "topic status /a",
        "topic status --part /a",
        "topic clear /a --yes",
        "topic messages /a --query x --after 5 --limit 10",
        "topic message show /a zpsm1",
        "topic message edit /a 5 {} --priority 9 --data /data",
        "topic message edit /a 5 --stdin --text",
        "topic message delete /a 5 --yes",
    ] {
        assert!(matches!(noun(line), Noun::Topic(_)), "{line}");
    }
}

#[test]
fn queues_are_looked_at_and_put_right() {
    for line in [
        "queue list --topic /a --endpoint crm --with-dead --reveal-secrets",
        "queue show 5",
        "queue show crm//a",
        "queue messages 5 --dead",
        "queue message show 5 zpsm1",
        "queue message delete 5 zpsm1 --yes",
        "queue dead",
        "queue dead 5 --limit 1",
        "queue requeue 5",
        "queue requeue 5 zpsm1 zpsm2",
        "queue consume 5 --limit 10 --lease 30 --wait 0.5",
        "queue acknowledge 5 zpsm1 zpsm2",
        "queue clear 5",
        "queue delete 5 --yes",
    ] {
        assert!(matches!(noun(line), Noun::Queue(_)), "{line}");
    }
}

#[test]
fn a_message_is_published_with_what_it_says() {
    let line = "publish /a hello --priority 9 --expiration 60 --no-gd --mime-type text/plain \
                --correl-id c --in-reply-to r --ext-client-id e --msg-id m --endpoint portal";
    let Noun::Publish(publish) = noun(line) else { panic!("publish") };
    assert_eq!((publish.topic.as_str(), publish.content.as_deref()), ("/a", Some("hello")));
    let properties = publish.properties;
    assert_eq!((properties.priority, properties.expiration), (Some(9), Some(60)));
    assert!(properties.no_gd && !properties.gd);
    for line in ["publish /a --stdin --json", "publish /a --data-file x --gd"] {
        assert!(matches!(noun(line), Noun::Publish(_)), "{line}");
    }
}

#[test]
fn compatible_commands_have_their_defaults() {
    let PubSub::CreateTopic(topic) = pubsub("create-topic") else { panic!("create-topic") };
    assert_eq!((topic.name, topic.gd, topic.is_internal), (None, false, false));
    assert!(!topic.is_api_sub_allowed);
    let limits = (topic.limit_retention, topic.limit_sub_inactivity, topic.limit_message_expiry);
    assert_eq!(limits, (86_400, 86_400, 86_400));
    let line = "create-topic --name /a --gd --is-internal false --is-api-sub-allowed 1 --path /x";
    let verb = pubsub(line);
    assert_eq!(verb.path(), Some(&PathBuf::from("/x")));
    let PubSub::CreateTopic(topic) = verb else { panic!("create-topic") };
    assert_eq!((topic.gd, topic.is_internal, topic.is_api_sub_allowed), (true, false, true));

    let PubSub::CreateTestTopics(args) = pubsub("create-test-topics") else { panic!("test") };
    assert_eq!((args.count, args.endpoints_per_topic), (1_000, 3));
    assert_eq!((args.messages_per_pub, args.msg_size, args.needs_stdout), (10, 3, false));

    let PubSub::CreateEndpoint(args) = pubsub("create-endpoint --wsx-id 5") else { panic!("e") };
    assert_eq!((args.role.as_str(), args.is_active), ("pub-sub", true));
    assert_eq!(args.topic_patterns, "pub=/*,sub=/*");

    let PubSub::Cleanup(args) = pubsub("cleanup --subscriptions false") else { panic!("cleanup") };
    assert!(!args.subscriptions && args.topics_without_subscribers);
    assert!(args.topics_with_max_retention_reached && args.queues_with_expired_messages);
}

#[test]
fn compatible_commands_have_two_names() {
    for line in ["get-topics --name a", "get-topic --name a --keys all"] {
        assert!(matches!(pubsub(line), PubSub::GetTopics(_)), "{line}");
    }
    for line in ["delete-topics --id-list 1,2", "delete-topic --id 1"] {
        assert!(matches!(pubsub(line), PubSub::DeleteTopics(_)), "{line}");
    }
    let PubSub::GetTopics(args) = pubsub("get-topics --keys id,name") else { panic!("get") };
    assert_eq!(args.keys, ["id", "name"]);
    for line in [
        "status",
        "compact",
        "delete-endpoint --id 5",
        "publish /a x --path /data",
        "publish /a --stdin --data /data",
        "consume --topic /a --endpoint crm",
        "subscribe --topic-name /a --endpoint-name crm --delivery-method web-socket",
    ] {
        pubsub(line);
    }
    assert!(pubsub("get-topics").is_compatible() && !pubsub("status").is_compatible());
}

#[test]
fn wrong_usage_of_messages_is_refused() {
    for line in [
        "publish",
        "publish /a",
        "publish /a x --stdin",
        "publish /a --stdin --data-file x",
        "publish /a x --gd --no-gd",
        "publish /a x --json --text",
        "publish /a x --priority high",
        "topic message",
        "topic message edit /a",
        "topic message edit /a 5 x --stdin",
        "topic status /a --part b",
        "topic messages /a --limit -1",
        "queue",
        "queue show",
        "queue acknowledge 5",
        "queue consume 5 --lease x",
        "pubsub create-topic --gd maybe",
        "pubsub create-topic --limit-retention x",
        "pubsub delete-topics --id x",
        "pubsub delete-endpoint",
        "pubsub subscribe --topic /a",
        "pubsub subscribe --topic /a --endpoint crm --delivery-method notify",
        "pubsub get-topics --path /x --url http://a:1 --token t",
    ] {
        let error = asked(line).err().unwrap_or_else(|| panic!("{line} is accepted"));
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}
