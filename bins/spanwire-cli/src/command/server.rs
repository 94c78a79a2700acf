//! `spanwire ping`, `spanwire server …`, `spanwire secret-key …`

use spanwire_protocol::admin::{KeyRotated, ServerInfo};

use crate::client::{Client, Failure};
use crate::output::{Output, counted};

/// Asks the server who it is.
pub(crate) fn info(client: &Client, output: &Output) -> Result<(), Failure> {
    let server: ServerInfo = client.get("server")?;
    output.object(&server)
}

/// Makes a new key for stored secrets.
pub(crate) fn rotate(client: &Client, output: &Output) -> Result<(), Failure> {
    let rotated: KeyRotated = client.post("secret-key/rotate", Vec::new())?;
    let KeyRotated { encrypted_again, keys } = rotated;
    let (secrets, keys) = (counted(encrypted_again, "secret"), counted(keys, "key"));
    let line = format!("{secrets} encrypted with a new key; the ring has {keys}");
    output.result(&rotated, [line])
}
