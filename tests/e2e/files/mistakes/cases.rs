//! Files with mistakes, and what is said about them.
//!
//! In front of each case stand the codes of the same mistake in Zato.

/// Files with a mistake; the first one is imported.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) files: &'static [(&'static str, &'static [u8])],
    /// Who finds it.
    pub(super) found: Found,
    /// How the lines about the mistakes begin, and what else they contain.
    pub(super) said: &'static [(&'static str, &'static str)],
}

/// Who finds a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The command line, which reads the files.
    Here,
    /// The server, which knows what there is.
    There,
}

const fn case(
    what: &'static str,
    files: &'static [(&'static str, &'static [u8])],
    said: &'static [(&'static str, &'static str)],
) -> Case {
    Case { what, files, found: Found::There, said }
}

const fn local(
    what: &'static str,
    files: &'static [(&'static str, &'static [u8])],
    said: &'static [(&'static str, &'static str)],
) -> Case {
    Case { what, files, found: Found::Here, said }
}

/// The server of these cases has a security definition `there`, and a channel `there` on `/there`.
pub(super) const CASES: &[Case] = &[
    case(
        "W02, W04: a definition that is nowhere",
        &[("a.yaml", b"web_socket:\n- name: w\n  address: /w\n  service: zato.ping\n  sec_def: ther\n")],
        &[("a.yaml:5: web_socket 'w', field 'sec_def': ", "there is no security 'ther', did you mean 'there'?")],
    ),
    case(
        "E01: an object in two included files",
        &[
            ("a.yaml", b"include: [b.yaml, c.yaml]\n"),
            ("b.yaml", b"pubsub_topic:\n- {name: /t}\n"),
            ("c.yaml", b"\npubsub_topic:\n- {name: /t}\n"),
        ],
        &[("c.yaml:3: pubsub_topic '/t': ", "is defined twice, first in line 2 of b.yaml")],
    ),
    case(
        "duplicate names in one file",
        &[("a.yaml", b"security:\n- {name: x, type: apikey}\n- {name: x, type: apikey}\n")],
        &[("a.yaml:3: security 'x': ", "is defined twice, first in line 2")],
    ),
    case(
        "a key that is given twice",
        &[("a.yaml", b"security:\n- name: x\n  type: apikey\n  name: y\n")],
        &[("a.yaml:4: key 'name' is given twice", "")],
    ),
    case(
        "E03: an included file that is no YAML",
        &[("a.yaml", b"include:\n- sub/b.yaml\n"), ("sub/b.yaml", b"security:\n- {name: x\n")],
        &[("sub/b.yaml:", "not valid YAML")],
    ),
    case(
        "YAML syntax",
        &[("a.yaml", b"security:\n- name: x\n  type: apikey: y\n")],
        &[("a.yaml:3: ", "not valid YAML")],
    ),
    case("JSON syntax", &[("a.json", b"{\"security\": [}\n")], &[("a.json:1: ", "not valid")]),
    case(
        "a list on top",
        &[("a.yaml", b"- name: x\n")],
        &[("a.yaml:1: a file is kinds with lists of objects", "not a list")],
    ),
    case(
        "a text on top",
        &[("a.yaml", b"hello\n")],
        &[("a.yaml:1: a file is kinds with lists of objects", "not a single value")],
    ),
    case(
        "a mapping where a list is expected",
        &[("a.yaml", b"\nsecurity: {name: x}\n")],
        &[("a.yaml:2: 'security' is a list of objects", "not a mapping")],
    ),
    case(
        "E04: a type that is missing",
        &[("a.yaml", b"security:\n- {name: x}\n")],
        &[("a.yaml:2: security 'x', field 'type': ", "is missing")],
    ),
    case(
        "E05: a number that is none, and one that is out of bounds",
        &[("a.yaml", b"outgoing_rest:\n- name: x\n  host: http://127.0.0.1:9\n  pool_size: many\n  timeout: 0\n")],
        &[
            ("a.yaml:4: outgoing_rest 'x', field 'pool_size': ", "from 1 to 10000 is expected, not 'many'"),
            ("a.yaml:5: outgoing_rest 'x', field 'timeout': ", "not '0'"),
        ],
    ),
    case(
        "E05: a list where a text is expected",
        &[("a.yaml", b"security:\n- name: x\n  type: apikey\n  header: [a, b]\n")],
        &[("a.yaml:4: security 'x', field 'header': ", "not a list")],
    ),
    case(
        "E06: a kind that is unknown",
        &[("a.yaml", b"security: []\nweb_sockets: [{name: x}]\n")],
        &[("a.yaml:2: unknown kind 'web_sockets'", "did you mean 'web_socket'?")],
    ),
    case(
        "E06: a kind that is not known here",
        &[("a.yaml", b"scheduler: [{name: x}]\n")],
        &[("a.yaml:1: there are no 'scheduler' objects", "")],
    ),
    case(
        "E06: a generic connection of another type",
        &[("a.yaml", b"zato_generic_connection:\n- {name: x, type_: cloud-jira}\n")],
        &[("a.yaml:2: ", "'type_: outconn-wsx'")],
    ),
    case(
        "E08: keys that are missing",
        &[("a.yaml", b"web_socket:\n- {name: w, service: zato.ping}\nchannel_rest:\n- {url_path: /x, service: zato.ping}\n")],
        &[
            ("a.yaml:2: web_socket 'w', field 'address': ", "is missing"),
            ("a.yaml:2: web_socket 'w', field 'sec_def': ", "zato-no-security"),
            ("a.yaml:4: channel_rest, field 'name': ", "is missing"),
        ],
    ),
    case(
        "E09: a type of security that is none",
        &[("a.yaml", b"security:\n- name: x\n  type: jwt\n")],
        &[("a.yaml:3: security 'x', field 'type': ", "'jwt' is not accepted, use one of: basic_auth, apikey")],
    ),
    case(
        "E10: a key that is unknown",
        &[("a.yaml", b"web_socket:\n- name: w\n  address: /w\n  service: zato.ping\n  sec_def: there\n  token_tll: 5\n")],
        &[("a.yaml:6: web_socket 'w', field 'token_tll': ", "did you mean 'token_ttl'?")],
    ),
    case(
        "E11: a channel without a service",
        &[("a.yaml", b"channel_rest:\n- {name: r, url_path: /r}\n")],
        &[("a.yaml:2: channel_rest 'r', field 'service': ", "is missing")],
    ),
    case(
        "E13: dependencies that are missing",
        &[("a.yaml", b"pubsub_subscription:\n- {endpoint_name: e, topic_name: /t}\n")],
        &[
            ("a.yaml:2: pubsub_subscription 'e//t', field 'endpoint_name': ", "there is no pubsub_endpoint 'e'"),
            ("a.yaml:2: pubsub_subscription 'e//t', field 'topic_name': ", "there is no pubsub_topic '/t'"),
        ],
    ),
    case(
        "an address that somebody else has",
        &[("a.yaml", b"web_socket:\n- {name: w, address: /there, service: zato.ping, sec_def: there}\n")],
        &[("a.yaml:2: web_socket 'w', field 'address': ", "is used by web_socket 'there' already")],
    ),
    local(
        "E14: an include that is not there",
        &[("sub/a.yaml", b"security: []\ninclude:\n- b.yaml\n- ../c.yaml\n")],
        &[
            ("sub/a.yaml:3: 'sub/b.yaml' cannot be included", "No such file"),
            ("sub/a.yaml:4: 'sub/../c.yaml' cannot be included", "No such file"),
        ],
    ),
    local(
        "E14: an item that is not there, beside another mistake",
        &[("a.yaml", b"security:\n- file://b.yaml\nweb_sockets: [{name: x}]\n")],
        &[("a.yaml:2: 'b.yaml' cannot be included", ""), ("a.yaml:3: unknown kind 'web_sockets'", "")],
    ),
    local("a file that is not there", &[], &[("a.yaml: cannot be read (", "No such file")]),
    local(
        "not UTF-8",
        &[("a.yaml", b"security:\n- {name: \xff, type: apikey}\n")],
        &[("a.yaml: is not UTF-8", "")],
    ),
    local(
        "an included file that is not UTF-8",
        &[("a.yaml", b"include: b.yaml\n"), ("b.yaml", b"\xff\xfe\n")],
        &[("a.yaml:1: 'b.yaml' cannot be included: is not UTF-8", "")],
    ),
    case(
        "a file that includes itself",
        &[("a.yaml", b"security: []\ninclude: [./a.yaml]\n")],
        &[("a.yaml:2: './a.yaml' includes itself", "")],
    ),
    case(
        "files that include each other",
        &[("a.yaml", b"include: [sub/b.yaml]\n"), ("sub/b.yaml", b"\ninclude: [../a.yaml]\n")],
        &[("sub/b.yaml:2: 'sub/../a.yaml' includes itself", "")],
    ),
    case(
        "variables that are not set",
        &[("a.yaml", b"security:\n- name: x\n  type: apikey\n  password: Spanwire_Env.NO_SUCH_1\nservice:\n- {name: y, url: 'http://{Zato_Enmasse_Env.NO_SUCH_2}/'}\n")],
        &[
            ("a.yaml:4: security 'x', field 'password': ", "'NO_SUCH_1' is not set"),
            ("a.yaml:6: service 'y', field 'url': ", "'NO_SUCH_2' is not set"),
        ],
    ),
    case(
        "mistakes of all kinds in several files are told together",
        &[
            ("a.yaml", b"include: [b.yaml, c.yaml]\nsecurity:\n- {name: x}\n"),
            ("b.yaml", b"service:\n- {name: s, url: 'ftp://h'}\n"),
            ("c.yaml", b"channel_rest:\n- {name: r, url_path: /r, service: s, security_name: y}\n"),
        ],
        &[
            ("a.yaml:3: security 'x', field 'type': ", "is missing"),
            ("b.yaml:2: service 's', field 'url': ", "http://"),
            ("c.yaml:2: channel_rest 'r', field 'security_name': ", "there is no security 'y'"),
        ],
    ),
];
