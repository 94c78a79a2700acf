use super::*;

#[test]
fn listening_addresses_are_parsed_and_written_back() {
    let own = |tls, host: &str, port, path: &str| WebSocketAddress::Own {
        tls,
        host: host.to_owned(),
        port,
        path: path.to_owned(),
    };
    let cases = [
        ("/ws/crm", WebSocketAddress::Shared { path: "/ws/crm".to_owned() }),
        ("ws://0.0.0.0:48902/ws/acme", own(false, "0.0.0.0", 48902, "/ws/acme")),
        ("wss://[::1]:443/ws/x", own(true, "::1", 443, "/ws/x")),
        ("ws://localhost:0/", own(false, "localhost", 0, "/")),
    ];
    for (text, expected) in cases {
        let address = WebSocketAddress::parse(text).unwrap();
        assert_eq!(address, expected);
        assert_eq!(address.to_string(), text);
        let json = serde_json::to_value(&address).unwrap();
        assert_eq!(serde_json::from_value::<WebSocketAddress>(json).unwrap(), address);
    }
    assert_eq!(WebSocketAddress::parse("ws://h:1").unwrap().path(), "/");
}

#[test]
fn bad_listening_addresses_are_refused() {
    let cases = [
        ("ws/crm", "begins with ws:// or wss://; a path alone"),
        ("http://h:1/x", "begins with ws:// or wss://"),
        ("ws://h/x", "the port is missing"),
        ("ws://h:/x", "the port must be a number"),
        ("ws://h:70000/x", "the port must be a number"),
        ("ws://h:+1/x", "the port must be a number"),
        ("ws://:1/x", "the host is missing"),
        ("ws://::1:80/x", "the host is missing"),
        ("ws://fe80::1:80/x", "goes into brackets"),
        ("ws://[::g]:80/x", "must be an IPv6 address"),
        ("ws://[::1]80/x", "comes :port or the path"),
        ("ws://1.2.3:80/x", "neither a name nor an IP address"),
        ("ws://h:1/x?y=1", "no query string"),
        ("ws://h:1/x#y", "no '#' part"),
        ("ws://u:p@h:1/x", "credentials do not belong into a URL"),
        ("/ws/{id}", "takes no {parameters}"),
        ("/ws x", "no spaces"),
    ];
    for (text, expected) in cases {
        let error = WebSocketAddress::parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn paths_with_parameters_are_checked() {
    for path in ["/", "/a/{id}", "/a/{id}.{ext}", "/%20"] {
        check_path(path, true).unwrap();
    }
    for path in ["a", "/{", "/}", "/{}", "/{a}{b}", "/{a}/{a}", "/{a b}", "/a?b", "/{a{b}}"] {
        assert!(check_path(path, true).is_err(), "{path}");
    }
    assert_eq!(path_shape("/a/{id}/b/{x}"), "/a/{}/b/{}");
    assert_eq!(path_shape("/a/b"), "/a/b");
}

#[test]
fn secrets_in_query_strings_are_masked() {
    let url = RemoteUrl("wss://h/x?user=a&api_key=b&Token=c&empty_key=".to_owned());
    let masked = "wss://h/x?user=a&api_key=***&Token=***&empty_key=";
    assert!(url.has_secret());
    assert_eq!(url.to_string(), masked);
    assert_eq!(format!("{url:?}"), format!("{masked:?}"));
    assert_eq!(serde_json::to_value(&url).unwrap(), masked);
    assert!(url.reveal().contains("api_key=b"));
    assert!(!RemoteUrl("http://h/?page=1".to_owned()).has_secret());
}

proptest::proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "(wss?://)?[\\[\\]:/@?#{}.a1é ]{0,30}") {
        if let Ok(address) = WebSocketAddress::parse(&text) {
            let again = WebSocketAddress::parse(&address.to_string());
            proptest::prop_assert_eq!(again, Ok(address));
        }
        let _ = check_path(&text, true);
        let _ = path_shape(&text);
    }
}
