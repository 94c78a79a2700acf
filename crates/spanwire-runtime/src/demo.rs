//! What an empty data folder becomes at first start: something to try, with credentials that nobody else has.

use spanwire_config::{Existing, Object, parse_str};
use spanwire_crypto::{Secret, random};

use crate::error::StartError;

/// The demo objects, and the password in them.
pub(crate) struct Demo {
    pub(crate) objects: Vec<Object>,
    pub(crate) password: Secret,
}

/// A WebSocket channel on the default gateway and a REST channel on the echo service, with one random password.
pub(crate) fn create() -> Result<Demo, StartError> {
    let password = random::password().map_err(StartError::data)?;
    let text = format!(
        "security: [{{name: demo, type: basic_auth, username: demo, password: '{}'}}]\n\
         web_socket: [{{name: demo, address: /ws/demo, service: helpers.web-sockets-gateway, sec_def: demo}}]\n\
         channel_rest: [{{name: demo.echo, url_path: /api/demo/echo, service: zato.helpers.echo, security_name: demo, \
         data_format: json}}]\n",
        password.expose()
    );
    let import =
        parse_str("(demo)", &text, &|_| None, Existing::nothing()).map_err(StartError::Objects)?;
    Ok(Demo { objects: import.objects, password })
}

/// What is printed once.
pub(crate) fn welcome(
    data: &std::path::Path,
    address: std::net::SocketAddr,
    tls: bool,
    password: &Secret,
) -> String {
    let (http, ws) = if tls { ("https", "wss") } else { ("http", "ws") };
    let (data, password) = (data.display(), password.expose());
    format!(
        "A new environment was created in {data}.\n\
         \n\
         \x20 demo channel    {ws}://{address}/ws/demo\n\
         \x20 user name       demo\n\
         \x20 password        {password}      (shown once; it is stored encrypted)\n\
         \x20 admin token     {data}/admin.token\n\
         \n\
         Try it:\n\
         \n\
         \x20 curl -u demo:{password} {http}://{address}/api/demo/echo -d '{{\"hello\": \"world\"}}'\n\
         \x20 spanwire --data {data} service invoke zato.ping\n\
         \n"
    )
}
