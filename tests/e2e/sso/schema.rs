//! schemathesis: requests made from the description of the API, right and wrong ones; no answer is a fault of the server, and
//! each is one that the description knows.

use serde_json::json;
use spanwire_tests::http::request;
use spanwire_tests::{is_long, tools};

use super::World;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// What would end the session that all calls are made with, or change what it may: these come last.
const LAST: [&str; 3] =
    ["zato.sso.user.logout", "zato.sso.user.update", "zato.sso.user.reset-totp-key"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_of_the_description() {
    let more = "[sso.login]\nfailures_per_address = 1000000\n[sso.signup]\nper_address = 1000000\n";
    let world = World::with(
        more,
        "security: [{name: crm, type: basic_auth, username: crm, password: secret1}]",
    )
    .await;
    let id = world.create("joe").await;
    let target = world.login("joe").await;
    let mut document =
        request(world.server.address(), "GET", "/zato/sso/openapi.json", &[], "").await.json();
    let known = [
        ("current_app", json!(["CRM"])),
        ("user_id", json!([id])),
        ("target_ust", json!([target])),
        ("username", json!(["joe", "new"])),
        ("auth_type", json!(["basic_auth"])),
        ("auth_username", json!(["crm"])),
        ("name", json!(["a"])),
    ];
    for operations in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in operations.as_object_mut().unwrap().values_mut() {
            let fields = &mut operation["requestBody"]["content"]["application/json"]["schema"]["properties"];
            for (field, values) in &known {
                if let Some(schema) = fields.get_mut(field) {
                    *schema = json!({"anyOf": [{"enum": values}, schema.take()]});
                }
            }
            // The bearer is the session.
            for field in ["ust", "current_ust"] {
                fields.as_object_mut().unwrap().remove(field);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("openapi.json"), document.to_string()).unwrap();
    let excluded = LAST.map(|id| format!("--exclude-operation-id={id}"));
    run(&world, dir.path(), &excluded).await;
    let included = LAST.map(|id| format!("--include-operation-id={id}"));
    run(&world, dir.path(), &included).await;
    assert!(!world.server.log().contains("panicked"), "{}", world.server.log());
    let verified = crate::cli::on(&world.server, &["sso", "audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

async fn run(world: &World, dir: &std::path::Path, select: &[String]) {
    let examples = if is_long() { "100" } else { "8" };
    let mut program = tools::schemathesis(dir);
    program
        .args(["--no-color", "run", "openapi.json"])
        .args(["--url", &format!("http://{}", world.server.address())])
        .args(["--header", &format!("Authorization: Bearer {}", world.root)])
        .args([
            "--checks",
            CHECKS,
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            examples,
        ])
        .args(["--seed", "1", "--generation-database", "none", "--continue-on-failure"])
        .args(["--request-timeout", "10"])
        .args(select);
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
}
