//! A program with a service of its own on a WebSocket channel.
//!
//! Run it with `cargo run -p embed-channel`, then connect any Zato client to the printed address, or
//! `cargo run -p write-a-client -- ws://ADDRESS/ws/greet`.

use std::io::Write;

use serde::{Deserialize, Serialize};
use spanwire_runtime::{App, Context, ServiceError};

#[derive(Deserialize)]
struct Person {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
}

async fn greet(ctx: Context, person: Person) -> Result<Greeting, ServiceError> {
    let from = ctx.client_name().unwrap_or("somebody");
    Ok(Greeting { greeting: format!("Hello {} from {from}", person.name) })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::builder()
        .service_fn("greet", greet)
        .objects("web_socket: [{name: greetings, address: /ws/greet, service: greet, sec_def: zato-no-security}]")
        .start()
        .await?;
    writeln!(std::io::stdout(), "ws://{}/ws/greet", app.address())?;
    app.stop_requested().await?;
    app.shutdown().await;
    Ok(())
}
