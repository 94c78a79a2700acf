//! Who may do what: every operation of the table, for every role, over REST and over WebSockets.

use serde_json::{Value, json};
use spanwire_sso::Operation;
use spanwire_sso::operation::{ENDPOINTS, Endpoint, Who};
use spanwire_tests::Client;

use super::{PASSWORD, World};

/// Everybody may ask for something, and the answer is yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Anonymous,
    /// About somebody else.
    User,
    /// About oneself.
    Owner,
    SuperUser,
}

/// The table says it all.
fn may(endpoint: &Endpoint, role: Role) -> bool {
    match endpoint.who {
        Who::Anybody => true,
        Who::Owner => {
            matches!(role, Role::Owner | Role::SuperUser)
                || (role == Role::User && is_about_oneself(endpoint))
        }
        Who::SuperUser => role == Role::SuperUser,
    }
}

/// Nobody else can be meant.
fn is_about_oneself(endpoint: &Endpoint) -> bool {
    endpoint.operation == Operation::SessionRenew
}

/// What is asked for in one cell; each has users of its own.
struct Cell {
    /// The target.
    id: String,
    target: String,
    caller: String,
}

impl Cell {
    async fn new(world: &World, name: &str, role: Role) -> Self {
        let id = world.create(name).await;
        let target = world.login(name).await;
        let caller = match role {
            Role::Anonymous => "gAAAAnobody".to_owned(),
            Role::User => world.login("other").await,
            Role::Owner => target.clone(),
            // A session of its own: some cells end it.
            Role::SuperUser => world.login("root").await,
        };
        Self { id, target, caller }
    }

    /// An input that is right in everything but who sends it.
    fn input(&self, endpoint: &Endpoint, name: &str, role: Role) -> Value {
        use Operation as Op;
        let (caller, id) = (&self.caller, &self.id);
        // Oneself is meant by saying nobody.
        let whom = |mut body: Value| {
            if role != Role::Owner {
                body["user_id"] = json!(id);
            }
            body
        };
        match endpoint.operation {
            Op::Login => json!({"username": name, "password": PASSWORD}),
            Op::Logout => json!({"ust": caller}),
            Op::Signup => {
                json!({"username": format!("{name}.new"), "password": PASSWORD, "email": format!("{name}@example.com")})
            }
            Op::ResetBegin => json!({"credential": name}),
            Op::GetUser => whom(json!({"ust": caller})),
            Op::CreateUser => {
                json!({"ust": caller, "username": format!("{name}.made"), "password": PASSWORD})
            }
            Op::UpdateUser => whom(json!({"ust": caller, "first_name": "X"})),
            Op::DeleteUser | Op::Approve | Op::Reject | Op::Lock | Op::Unlock => {
                json!({"ust": caller, "user_id": id})
            }
            Op::ChangePassword => whom(
                json!({"ust": caller, "new_password": "another horse another staple", "old_password": PASSWORD}),
            ),
            Op::ResetTotp => whom(json!({"ust": caller, "totp_key": "", "totp_label": "x"})),
            Op::Search | Op::SessionRenew => json!({"ust": caller}),
            Op::LinkedList => whom(json!({"ust": caller})),
            Op::LinkedCreate | Op::LinkedDelete => {
                json!({"ust": caller, "user_id": id, "auth_type": "basic_auth", "auth_username": "crm", "is_active": true})
            }
            Op::SessionVerify | Op::SessionGet => {
                json!({"current_ust": caller, "target_ust": self.target})
            }
            Op::SessionList if role == Role::Owner => json!({"ust": caller}),
            Op::SessionList => json!({"current_ust": caller, "target_ust": self.target}),
            Op::UserAttrExists | Op::UserAttrGet | Op::UserAttrDelete => {
                whom(json!({"ust": caller, "name": "a"}))
            }
            Op::UserAttrNames => whom(json!({"ust": caller})),
            Op::UserAttrCreate | Op::UserAttrSet => {
                whom(json!({"ust": caller, "name": "new", "value": "1"}))
            }
            Op::UserAttrUpdate => whom(json!({"ust": caller, "name": "a", "value": "1"})),
            Op::SessionAttrUpdate
            | Op::SessionAttrExists
            | Op::SessionAttrGet
            | Op::SessionAttrDelete => {
                json!({"current_ust": caller, "target_ust": self.target, "name": "a", "value": "1"})
            }
            Op::SessionAttrNames => json!({"current_ust": caller, "target_ust": self.target}),
            Op::SessionAttrCreate | Op::SessionAttrSet => {
                json!({"current_ust": caller, "target_ust": self.target, "name": "new", "value": "1"})
            }
            Op::ConfirmSignup | Op::ResetAccess | Op::ResetComplete => json!({}),
        }
    }

    /// What has to be there before.
    async fn prepare(&self, world: &World, endpoint: &Endpoint) {
        use Operation as Op;
        match endpoint.operation {
            Op::UserAttrUpdate => {
                world
                    .ok(
                        "POST",
                        "/user/attr",
                        json!({"ust": self.target, "name": "a", "value": "0"}),
                    )
                    .await;
            }
            Op::SessionAttrUpdate => {
                let body = json!({"current_ust": self.target, "target_ust": self.target, "name": "a", "value": "0"});
                world.ok("POST", "/session/attr", body).await;
            }
            Op::LinkedDelete => {
                let body = json!({"ust": world.root, "user_id": self.id, "auth_type": "basic_auth", "auth_username": "crm"});
                world.ok("POST", "/user/linked", body).await;
            }
            _ => {}
        }
    }

    /// So that the next cell can have it.
    async fn undo(&self, world: &World, endpoint: &Endpoint) {
        if matches!(endpoint.operation, Operation::LinkedCreate | Operation::LinkedDelete) {
            let body = json!({
                "current_app": "CRM", "ust": world.root, "user_id": self.id, "auth_type": "basic_auth", "auth_username": "crm",
            });
            world.send("DELETE", "/user/linked", &body).await;
        }
    }
}

/// Those that take a token which only a mail has: they are anybody's, and their refusals are tested elsewhere.
fn needs_mail(endpoint: &Endpoint) -> bool {
    matches!(
        endpoint.operation,
        Operation::ConfirmSignup | Operation::ResetAccess | Operation::ResetComplete
    )
}

const OBJECTS: &str = "\
    security: [{name: crm, type: basic_auth, username: crm, password: secret1}]\n\
    web_socket: [{name: ws, address: /ws/sso, service: sso.gateway, sec_def: crm}]\n\
    wsx_gateway: [{name: sso.gateway, services_allowed: ['zato.sso.*']}]\n";

async fn run(over: &str) {
    let world = World::with(
        "[sso.login]\nfailures_per_address = 100000\n[sso.signup]\nper_address = 1000\n",
        OBJECTS,
    )
    .await;
    world.create("other").await;
    let mut socket = Client::log_in(&world.server.ws("/ws/sso"), "crm", "secret1").await;
    let mut cells = 0;
    for endpoint in ENDPOINTS {
        for role in [Role::Anonymous, Role::User, Role::Owner, Role::SuperUser] {
            let name = format!("user{cells}");
            let cell = Cell::new(&world, &name, role).await;
            cell.prepare(&world, endpoint).await;
            let mut input = cell.input(endpoint, &name, role);
            input["current_app"] = json!("CRM");
            let answer = if over == "rest" {
                let path = endpoint.path.strip_prefix("/zato/sso").unwrap();
                let answer = world.send(endpoint.method, path, &input).await;
                assert!(
                    matches!(answer.status, 200 | 403),
                    "{:?} {role:?}: {answer:?}",
                    endpoint.operation
                );
                answer.json()
            } else {
                let reply = socket.invoke(endpoint.service, &input).await;
                reply["data"].clone()
            };
            let expected =
                if may(endpoint, role) && !needs_mail(endpoint) { "ok" } else { "error" };
            assert_eq!(
                answer["status"], expected,
                "{:?} as {role:?} over {over}: {answer}",
                endpoint.operation
            );
            cell.undo(&world, endpoint).await;
            cells += 1;
        }
    }
    assert_eq!(cells, ENDPOINTS.len() * 4);
}

#[tokio::test]
async fn every_cell_over_rest() {
    run("rest").await;
}

#[tokio::test]
async fn every_cell_over_a_websocket() {
    run("websocket").await;
}
